#include "manifest/short_forms.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace vmette::manifest {
namespace {

std::optional<std::uint16_t> parse_port_number(std::string_view text) {
    std::uint16_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number == 0) return std::nullopt;
    return number;
}

bool is_address(int family, std::string_view text) {
    std::array<unsigned char, sizeof(in6_addr)> bytes;
    return inet_pton(family, std::string(text).c_str(), bytes.data()) == 1;
}

/// An address of the family, and "/prefix" perhaps.
bool is_network(int family, std::string_view text) {
    std::size_t slash = text.find('/');
    if (slash == text.npos) return is_address(family, text);
    std::string_view prefix = text.substr(slash + 1);
    int bits = 0;
    auto [end, error] = std::from_chars(prefix.data(), prefix.data() + prefix.size(), bits);
    if (error != std::errc{} || end != prefix.data() + prefix.size() || prefix[0] == '-') return false;
    return bits <= (family == AF_INET ? 32 : 128) && is_address(family, text.substr(0, slash));
}

bool is_name_label(std::string_view label) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    return std::all_of(label.begin(), label.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; });
}

/// A host name (RFC 1123, with '_'), with "*." in front perhaps. A last label of digits alone is a mistyped address.
bool is_host_name(std::string_view text) {
    if (text.starts_with("*.")) text.remove_prefix(2);
    if (text.size() > 253) return false;
    std::string_view last;
    while (true) {
        std::size_t dot = text.find('.');
        last = text.substr(0, dot);
        if (!is_name_label(last)) return false;
        if (dot == text.npos) break;
        text.remove_prefix(dot + 1);
    }
    return !std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Splits "[inner]rest"; nothing when there is no such bracket.
std::optional<std::pair<std::string_view, std::string_view>> split_brackets(std::string_view text) {
    std::size_t close = text.find(']');
    if (!text.starts_with('[') || close == text.npos) return std::nullopt;
    return std::pair(text.substr(1, close - 1), text.substr(close + 1));
}

}  // namespace

std::optional<ShareText> split_share(std::string_view text) {
    std::size_t first = text.find(':');
    if (first == text.npos) return std::nullopt;
    std::size_t second = text.find(':', first + 1);
    ShareText share{text.substr(0, first), text.substr(first + 1, second - first - 1), {}};
    if (second != text.npos) {
        share.mode = text.substr(second + 1);
        if (share.mode.empty() || share.mode.find(':') != share.mode.npos) return std::nullopt;
    }
    if (share.host.empty() || share.guest.empty()) return std::nullopt;
    return share;
}

std::optional<Port> parse_port(std::string_view text) {
    Port port;
    if (text.ends_with("/udp")) {
        port.protocol = PortProtocol::udp;
        text.remove_suffix(4);
    } else if (text.ends_with("/tcp")) {
        text.remove_suffix(4);
    }
    std::size_t last = text.rfind(':');
    if (last == text.npos) return std::nullopt;
    auto guest_port = parse_port_number(text.substr(last + 1));
    text = text.substr(0, last);
    std::size_t middle = text.rfind(':');
    if (middle != text.npos) {
        std::string_view address = text.substr(0, middle);
        auto inner = split_brackets(address);
        bool good = inner ? inner->second.empty() && is_address(AF_INET6, inner->first) : is_address(AF_INET, address);
        if (!good) return std::nullopt;
        port.host_ip = inner ? inner->first : address;
        text.remove_prefix(middle + 1);
    }
    auto host_port = parse_port_number(text);
    if (!guest_port || !host_port) return std::nullopt;
    port.guest_port = *guest_port;
    port.host_port = *host_port;
    return port;
}

std::string format_port(const Port& port) {
    bool v6 = port.host_ip.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}:{}{}", v6 ? "[" : "", port.host_ip, v6 ? "]" : "", port.host_port, port.guest_port,
                       port.protocol == PortProtocol::udp ? "/udp" : "");
}

std::optional<AllowRule> parse_allow(std::string_view text) {
    AllowRule rule;
    std::string_view host = text;
    std::string_view port;
    if (auto inner = split_brackets(text)) {
        host = inner->first;
        if (!inner->second.empty() && !inner->second.starts_with(':')) return std::nullopt;
        port = inner->second;
        if (!is_network(AF_INET6, host)) return std::nullopt;
    } else if (!is_network(AF_INET6, text)) {
        std::size_t colon = std::min(text.find(':'), text.size());
        host = text.substr(0, colon);
        port = text.substr(colon);
    }
    rule.host = host;
    std::transform(rule.host.begin(), rule.host.end(), rule.host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (!is_network(AF_INET6, rule.host) && !is_network(AF_INET, rule.host) && !is_host_name(rule.host))
        return std::nullopt;
    if (!port.empty()) {
        rule.port = parse_port_number(port.substr(1));
        if (!rule.port) return std::nullopt;
    }
    return rule;
}

std::string format_allow(const AllowRule& rule) {
    bool v6 = rule.host.find(':') != std::string::npos;
    std::string host = v6 ? "[" + rule.host + "]" : rule.host;
    return rule.port ? fmt::format("{}:{}", host, *rule.port) : host;
}

}  // namespace vmette::manifest
