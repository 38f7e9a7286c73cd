#include "rootfs/oci/auth_variable.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

namespace vmette::rootfs::oci {
namespace {

/// Of a name or an IPv4 address.
std::string_view without_port(std::string_view registry) { return registry.substr(0, registry.find(':')); }

bool is_ipv4(std::string_view host) {
    in_addr ignored{};
    return ::inet_pton(AF_INET, std::string(host).c_str(), &ignored) == 1;
}

bool ends_in_number(std::string_view host) {
    std::string_view label = host.substr(host.rfind('.') + 1);
    return std::all_of(label.begin(), label.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::optional<std::string> auth_variable(std::string_view registry) {
    std::string_view host = without_port(registry);
    bool ipv6 = registry.starts_with('[');
    if (!ipv6 && ends_in_number(host) && !is_ipv4(host)) return std::nullopt;
    std::string name = "VMETTE_OCI_AUTH_";
    for (char c : registry) {
        bool lower = c >= 'a' && c <= 'z';
        bool kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (lower)
            name += static_cast<char>(c - 'a' + 'A');
        else if (kept)
            name += c;
        else
            name += c == '-' ? "__" : "_";
    }
    return name;
}

}  // namespace vmette::rootfs::oci
