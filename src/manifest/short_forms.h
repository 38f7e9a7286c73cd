#pragma once
/// The texts of several parts: shares, ports and allow rules in one string, and back.

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "manifest/sandbox.h"

namespace vmette::manifest {

/// HOST:GUEST[:ro|rw|overlay], split; the parts are not judged yet.
struct ShareText {
    std::string_view host, guest, mode;  ///< `mode` is empty when left out
};
/// Nothing when there are not two or three parts that hold something.
std::optional<ShareText> split_share(std::string_view text);

/// "[HOST_IP:]HOST_PORT:GUEST_PORT[/udp]"; an IPv6 address stands in brackets. Nothing when it is none.
std::optional<Port> parse_port(std::string_view text);
std::string format_port(const Port& port);

/// "pypi.org", "*.debian.org:443", "10.1.2.3/32:5432", "[2001:db8::/32]:443", "2001:db8::1". Names in lower case.
std::optional<AllowRule> parse_allow(std::string_view text);
std::string format_allow(const AllowRule& rule);

}  // namespace vmette::manifest
