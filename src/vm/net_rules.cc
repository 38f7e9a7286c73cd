#include "vm/net_rules.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <array>
#include <memory>
#include <set>

#include "vm/helpers/contract.h"
#include "vm/net.h"

namespace vmette::vm {
namespace {

/// Where no guest may go: not the public Internet. Source: IANA's IPv4 special-purpose registry, less the three
/// documentation networks (nobody is there), and one public address that is a cloud's link-local service in disguise.
constexpr std::array<std::string_view, 13> kRefusedNetworks = {
    "0.0.0.0/8",         // "this network": 0.0.0.0 is the host itself for many kernels
    "10.0.0.0/8",        // private
    "100.64.0.0/10",     // carrier-grade NAT, overlay VPNs
    "127.0.0.0/8",       // loopback
    "168.63.129.16/32",  // Azure's platform service, with the VM's credentials
    "169.254.0.0/16",    // link-local; 169.254.169.254 hands out a cloud VM's credentials
    "172.16.0.0/12",     // private
    "192.0.0.0/24",      // protocol assignments; 192.0.0.192 is a cloud's metadata
    "192.168.0.0/16",    // private
    "198.18.0.0/15",     // benchmarks, and the fake addresses of some VPNs
    "224.0.0.0/4",       // multicast
    "240.0.0.0/4",       // reserved
    "255.255.255.255/32",
};

template <typename Range>
std::string address_set(std::string_view name, const Range& elements) {
    std::string out =
        fmt::format("    set {} {{\n        type ipv4_addr\n        flags interval\n        auto-merge\n", name);
    if (!elements.empty()) out += fmt::format("        elements = {{ {} }}\n", fmt::join(elements, ", "));
    return out + "    }\n";
}

}  // namespace

std::string nat_rules(const NetPlan& plan) {
    std::string out = fmt::format(
        "table inet vmette {{\n"
        "    counter denied {{ }}\n"
        "    set denied_targets {{\n"
        "        type ipv4_addr . inet_proto . inet_service\n"
        "        size {}\n"
        "        flags dynamic\n"
        "    }}\n",
        kMaxDeniedTargets);
    out += address_set("refused_networks", kRefusedNetworks);
    out += address_set("host_addresses", plan.host_addresses);
    // The gateway stands for slirp4netns' resolver, which stays unreachable for all else.
    out += fmt::format(
        "    chain translate_dns {{\n"
        "        type nat hook prerouting priority dstnat; policy accept;\n"
        "        iifname \"{0}\" ip daddr {1} udp dport 53 dnat ip to {2}\n"
        "        iifname \"{0}\" ip daddr {1} tcp dport 53 dnat ip to {2}\n"
        "    }}\n"
        "    chain leave {{\n"
        "        type nat hook postrouting priority srcnat; policy accept;\n"
        "        oifname \"{3}\" masquerade\n"
        "    }}\n",
        plan.guest_device, plan.gateway, plan.outer_dns, plan.outer_device);
    // Two rules keep the record: a full set ends its rule, and the total must still be right.
    out +=
        "    chain refuse {\n"
        "        meta l4proto { tcp, udp } update @denied_targets { ip daddr . meta l4proto . th dport counter }\n"
        "        counter name denied\n"
        "        meta l4proto tcp reject with tcp reset\n"
        "        reject with icmpx admin-prohibited\n"
        "    }\n";
    // A guest that opens connections at full speed would fill the kernel's table of them, which is the host's memory:
    // 500 a second keep it under about 20 MiB.
    out += fmt::format(
        "    chain from_guest {{\n"
        "        meta nfproto ipv6 drop\n"
        "        ip saddr != {} drop\n"
        "        ct state invalid drop\n"
        "        ct state new limit rate over 500/second burst 1000 packets drop\n"
        "        ct status dnat oifname \"{}\" accept\n"
        "        ip daddr @refused_networks goto refuse\n"
        "        ip daddr @host_addresses goto refuse\n"
        "        oifname \"{}\" accept\n"
        "        goto refuse\n"
        "    }}\n",
        plan.guest_address, plan.outer_device, plan.outer_device);
    out += fmt::format(
        "    chain forward {{\n"
        "        type filter hook forward priority filter; policy drop;\n"
        "        iifname \"{0}\" goto from_guest\n"
        "        iifname \"{1}\" oifname \"{0}\" ct state established,related accept\n"
        "    }}\n"
        "    chain input {{\n"
        "        type filter hook input priority filter; policy drop;\n"
        "        iifname \"{0}\" ip daddr {2} icmp type echo-request limit rate 100/second accept\n"
        "        iifname \"{0}\" meta nfproto ipv4 goto refuse\n"
        "    }}\n"
        "}}\n",
        plan.guest_device, plan.outer_device, plan.gateway);
    return out;
}

std::vector<std::string> slirp_arguments(const std::string& program, const NetPlan& plan) {
    return {
        program,
        "--configure",
        fmt::format("--mtu={}", plan.mtu),
        fmt::format("--cidr={}", plan.outer_network),
        "--disable-host-loopback",
        "--enable-sandbox",
        "--enable-seccomp",
        fmt::format("--ready-fd={}", helper::kReadyFd),
        fmt::format("--exit-fd={}", helper::kLeashFd),
        "--netns-type=path",
        fmt::format("/proc/self/fd/{}", helper::kNetworkFd),
        plan.outer_device,
    };
}

Result<std::vector<std::string>> host_ipv4_addresses() {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return fail_errno("list the host's network addresses");
    std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
    constexpr std::size_t kMost = 256;
    std::set<std::string> found;
    for (auto* entry = list; entry != nullptr && found.size() < kMost; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
        char text[INET_ADDRSTRLEN];
        const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
        // A public address may well sit on the loopback device; 127/8 is refused in any case.
        if (ntohl(address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) continue;
        if (::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) found.insert(text);
    }
    return std::vector<std::string>(found.begin(), found.end());
}

}  // namespace vmette::vm
