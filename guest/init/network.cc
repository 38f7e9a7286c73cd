#include "network.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace vmette::guest {

namespace {

/// The name of the interface; empty when there is none.
std::string find_interface(std::string_view mac) {
    DIR* folder = opendir("/sys/class/net");
    if (folder == nullptr) return {};
    std::string found;
    while (dirent* entry = readdir(folder)) {
        std::string_view name = entry->d_name;
        // Tunnels that the kernel makes by itself have no device behind them.
        std::string base = text("/sys/class/net/", name);
        if (name.starts_with('.') || name.size() >= IFNAMSIZ) continue;
        Fd device(open(text(base, "/device").c_str(), O_PATH | O_CLOEXEC));
        if (!device) continue;
        std::string address = read_file(text(base, "/address").c_str(), 64);
        if (!mac.empty() && strcasecmp(std::string(mac).append("\n").c_str(), address.c_str()) != 0) continue;
        found = name;
        break;
    }
    closedir(folder);
    return found;
}

ifreq request_for(std::string_view interface) {
    ifreq request{};
    memcpy(request.ifr_name, interface.data(), interface.size());
    return request;
}

Outcome<> bring_up(int socket, std::string_view interface) {
    ifreq request = request_for(interface);
    if (ioctl(socket, SIOCGIFFLAGS, &request) != 0) return fail_errno("flags of ", interface);
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (ioctl(socket, SIOCSIFFLAGS, &request) != 0) return fail_errno("bring up ", interface);
    return {};
}

void put_address(sockaddr& out, in_addr address) {
    sockaddr_in value{};
    value.sin_family = AF_INET;
    value.sin_addr = address;
    memcpy(&out, &value, sizeof value);
}

Outcome<in_addr> parse_address(const std::string& dotted) {
    in_addr address{};
    if (inet_pton(AF_INET, dotted.c_str(), &address) != 1) return fail("\"", dotted, "\" is no IPv4 address");
    return address;
}

Outcome<> set_address(int socket, std::string_view interface, const wire::Network& network) {
    if (network.prefix > 32) return fail("a network prefix of ", network.prefix, " bits");
    GUEST_TRY(in_addr address, parse_address(network.address));
    ifreq request = request_for(interface);
    put_address(request.ifr_addr, address);
    if (ioctl(socket, SIOCSIFADDR, &request) != 0) return fail_errno("address of ", interface);
    in_addr mask{network.prefix == 0 ? 0 : htonl(0xFFFFFFFFU << (32 - network.prefix))};
    put_address(request.ifr_netmask, mask);
    if (ioctl(socket, SIOCSIFNETMASK, &request) != 0) return fail_errno("network mask of ", interface);
    if (network.mtu == 0) return {};
    request.ifr_mtu = static_cast<int>(network.mtu);
    if (ioctl(socket, SIOCSIFMTU, &request) != 0) return fail_errno("MTU of ", interface);
    return {};
}

Outcome<> set_default_route(int socket, const std::string& gateway) {
    GUEST_TRY(in_addr address, parse_address(gateway));
    rtentry route{};
    put_address(route.rt_dst, in_addr{0});
    put_address(route.rt_genmask, in_addr{0});
    put_address(route.rt_gateway, address);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    if (ioctl(socket, SIOCADDRT, &route) != 0) return fail_errno("default route by ", gateway);
    return {};
}

}  // namespace

Outcome<> configure_network(const wire::Network& network) {
    Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno("open a socket");
    GUEST_CHECK(bring_up(socket.get(), "lo"));
    if (!network.present) return {};
    std::string interface = find_interface(network.mac);
    if (interface.empty())
        return fail("there is no network interface", network.mac.empty() ? "" : " with MAC ", network.mac);
    GUEST_CHECK(set_address(socket.get(), interface, network));
    GUEST_CHECK(bring_up(socket.get(), interface));
    if (!network.gateway.empty()) GUEST_CHECK(set_default_route(socket.get(), network.gateway));
    return {};
}

void NetworkCounters::begin() {
    std::string interface = find_interface("");
    if (interface.empty()) return;
    statistics_ = Fd(open(text("/sys/class/net/", interface, "/statistics").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

std::uint64_t NetworkCounters::received() const { return statistics_ ? read_number(statistics_.get(), "rx_bytes") : 0; }

std::uint64_t NetworkCounters::sent() const { return statistics_ ? read_number(statistics_.get(), "tx_bytes") : 0; }

}  // namespace vmette::guest
