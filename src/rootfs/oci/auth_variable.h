#pragma once
/// The environment variable that may hold the credentials for one registry.

#include <optional>
#include <string>
#include <string_view>

namespace vmette::rootfs::oci {

/// VMETTE_OCI_AUTH_ and the host in upper case, with "_" for every "." and ":" and "__" for every "-"; the brackets of
/// an IPv6 address are "_" too. No two hosts that differ in more than case have the same one: ports are told from
/// labels because no name of a registry ends in a number, unless it is an IPv4 address. `registry` is HOST or
/// HOST:PORT, as in a Reference. Nothing for the hosts that this rule leaves out ("127.1:5000", "host.5000").
std::optional<std::string> auth_variable(std::string_view registry);

}  // namespace vmette::rootfs::oci
