#pragma once
/// What a guest may reach, as an nftables rule file. Pure: the whole text is tested.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace vmette::vm {

/// The two interfaces of a guest's network namespace and the addresses on both sides.
struct NetPlan {
    std::string guest_device = "vm0";   ///< the guest's tap
    std::string outer_device = "tap0";  ///< slirp4netns' tap
    std::string guest_address = "10.0.2.15";
    std::string gateway = "10.0.2.2";
    std::uint32_t prefix = 24;
    std::string outer_network = "10.0.3.0/24";
    /// slirp4netns answers there with the host's resolver. The guest asks the gateway, which stands for it.
    std::string outer_dns = "10.0.3.3";
    /// slirp4netns' limit is 65521; large frames spare it most of its work per byte.
    std::uint32_t mtu = 65520;
    /// The host's own IPv4 addresses: a connection to one of them would come in over the host's loopback, behind its
    /// firewall.
    std::vector<std::string> host_addresses;
    bool operator==(const NetPlan&) const = default;
};

/// The rules in force before the namespace has an outside. Everything that is not allowed is refused (TCP reset, ICMP
/// "prohibited") instead of dropped, so that the guest's programs fail at once, and is counted: table `inet vmette`,
/// counter `denied`, set `denied_targets` (destination, protocol and port of TCP and UDP).
std::string nat_rules(const NetPlan& plan);

/// slirp4netns' whole command line; its descriptors are on the numbers of helpers/contract.h.
std::vector<std::string> slirp_arguments(const std::string& program, const NetPlan& plan);

/// IPv4 addresses of this host's interfaces, sorted, 127.0.0.0/8 left out; at most 256.
Result<std::vector<std::string>> host_ipv4_addresses();

}  // namespace vmette::vm
