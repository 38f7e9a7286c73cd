#include "rootfs/oci/reference.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::string_view kHub = "docker.io";
constexpr std::string_view kHubEndpoint = "registry-1.docker.io";
constexpr std::string_view kHubOldName = "index.docker.io";
constexpr std::string_view kOfficial = "library/";
constexpr std::string_view kScheme = "oci://";
constexpr std::string_view kSha256 = "sha256:";
constexpr std::size_t kSha256Digits = 64;
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxTag = 128;
constexpr std::size_t kShown = 100;  // bytes of a wrong text that a message repeats

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || is_digit(c); }
bool is_alphanumeric(char c) { return is_lower_or_digit(c) || is_upper(c); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_lower_hex(char c) { return is_hex(c) && !is_upper(c); }

bool has_upper(std::string_view text) { return std::any_of(text.begin(), text.end(), is_upper); }

/// "5000" of "host:5000" and "[::1]:5000"; nothing when no port is named.
std::string_view without_port(std::string_view host) {
    std::size_t colon = host.rfind(':');
    std::size_t bracket = host.rfind(']');
    bool port = colon != host.npos && (bracket == host.npos || bracket < colon);
    return port ? host.substr(0, colon) : host;
}

bool is_port(std::string_view text) {
    unsigned port = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && port > 0 && port <= 65535;
}

bool is_ipv6_in_brackets(std::string_view text) {
    if (text.size() < 4 || !text.starts_with('[') || !text.ends_with(']')) return false;
    std::string address(text.substr(1, text.size() - 2));
    // Neither zones nor addresses that end in an IPv4 one, as Docker's.
    bool plain = std::all_of(address.begin(), address.end(), [](char c) { return is_hex(c) || c == ':'; });
    in6_addr ignored{};
    return plain && ::inet_pton(AF_INET6, address.c_str(), &ignored) == 1;
}

bool is_host_component(std::string_view text) {
    return !text.empty() && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
           std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool is_host_name(std::string_view text) {
    while (true) {
        std::size_t dot = text.find('.');
        if (!is_host_component(text.substr(0, dot))) return false;
        if (dot == text.npos) return true;
        text.remove_prefix(dot + 1);
    }
}

/// What may stand between two letters or digits of a component: ".", "_", "__" or any number of "-".
bool is_separator(std::string_view text) {
    return text == "." || text == "_" || text == "__" || text.find_first_not_of('-') == text.npos;
}

bool is_path_component(std::string_view text) {
    if (text.empty() || !is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back())) return false;
    while (!text.empty()) {
        auto start = std::find_if_not(text.begin(), text.end(), is_lower_or_digit);
        auto end = std::find_if(start, text.end(), is_lower_or_digit);
        if (!is_separator(std::string_view(start, end))) return false;
        text = std::string_view(end, text.end());
    }
    return true;
}

bool is_tag(std::string_view text) {
    auto word = [](char c) { return is_alphanumeric(c) || c == '_'; };
    return !text.empty() && text.size() <= kMaxTag && word(text.front()) &&
           std::all_of(text.begin(), text.end(), [&](char c) { return word(c) || c == '.' || c == '-'; });
}

/// A text under way to a reference; `shown` stands in the messages.
struct Parsing {
    std::string shown;
    std::string_view name;
    Reference reference;
};

template <typename... Args>
Failure refuse(const Parsing& parsing, fmt::format_string<Args...> why, Args&&... args) {
    return fail(ErrorCode::bad_input, "the image \"{}\": {}", parsing.shown,
                fmt::format(why, std::forward<Args>(args)...));
}

Result<> take_digest(Parsing& parsing) {
    std::size_t at = parsing.name.find('@');
    if (at == parsing.name.npos) return {};
    std::string_view digest = parsing.name.substr(at + 1);
    // "user:password@host/name": whoever reads the message must not read the password.
    if (!digest.starts_with("sha") || digest.find('/') != digest.npos)
        return fail(
            ErrorCode::bad_input,
            "an image's name: after @ stands a digest (sha256:…); a user name or a password has no place in it");
    if (!is_digest(digest))
        return refuse(parsing, "\"{}\" is no digest: sha256: and {} lower-case hexadecimal digits",
                      harmless_line(digest, kShown), kSha256Digits);
    parsing.reference.digest = digest;
    parsing.name = parsing.name.substr(0, at);
    return {};
}

Result<> take_tag(Parsing& parsing) {
    std::size_t slash = parsing.name.rfind('/');
    std::size_t colon = parsing.name.find(':', slash == parsing.name.npos ? 0 : slash);
    if (colon == parsing.name.npos) {
        if (parsing.reference.digest.empty()) parsing.reference.tag = "latest";
        return {};
    }
    std::string_view tag = parsing.name.substr(colon + 1);
    if (!is_tag(tag))
        return refuse(parsing, "\"{}\" is no tag: at most {} letters, digits, _, . and -, not beginning with . or -",
                      harmless_line(tag, kShown), kMaxTag);
    parsing.reference.tag = tag;
    parsing.name = parsing.name.substr(0, colon);
    return {};
}

/// Docker's rule for what of "a/b/c" is a host: the first part, when it could be none of a repository or is localhost.
bool names_host(std::string_view first) {
    return first.find_first_of(".:") != first.npos || first == "localhost" || has_upper(first);
}

Result<> take_registry(Parsing& parsing) {
    std::size_t slash = parsing.name.find('/');
    std::string_view host = kHub;
    if (slash != parsing.name.npos && names_host(parsing.name.substr(0, slash))) {
        host = parsing.name.substr(0, slash);
        parsing.name.remove_prefix(slash + 1);
    }
    if (!is_registry_host(host))
        return refuse(parsing, "\"{}\" is no registry: a host, with or without a port", harmless_line(host, kShown));
    parsing.reference.registry = canonical_registry(host);
    return {};
}

Result<> take_repository(Parsing& parsing) {
    std::string_view path = parsing.name;
    bool hub = parsing.reference.registry == kHub;
    if (path.empty()) return refuse(parsing, "it names no repository");
    if (path.size() > kMaxName) return refuse(parsing, "its name has more than {} bytes", kMaxName);
    if (has_upper(path)) return refuse(parsing, "a repository's name has no upper-case letters");
    // Docker takes it for an image's number on this machine, which no registry knows.
    if (hub && path.size() == kSha256Digits && std::all_of(path.begin(), path.end(), is_lower_hex))
        return refuse(parsing, "{} hexadecimal digits are no name", kSha256Digits);
    for (std::string_view rest = path;;) {
        std::size_t slash = rest.find('/');
        std::string_view component = rest.substr(0, slash);
        if (component.empty()) return refuse(parsing, "a part of its name is empty");
        if (!is_path_component(component))
            return refuse(parsing, "\"{}\" is no name: a-z and 0-9, between them single . or _, __, or -",
                          harmless_line(component, kShown));
        if (slash == rest.npos) break;
        rest.remove_prefix(slash + 1);
    }
    bool official = hub && path.find('/') == path.npos;
    parsing.reference.repository = (official ? std::string(kOfficial) : std::string()).append(path);
    return {};
}

}  // namespace

bool is_digest(std::string_view text) {
    if (!text.starts_with(kSha256)) return false;
    text.remove_prefix(kSha256.size());
    return text.size() == kSha256Digits && std::all_of(text.begin(), text.end(), is_lower_hex);
}

bool is_registry_host(std::string_view text) {
    std::string_view host = without_port(text);
    if (text.size() > kMaxName || (host.size() < text.size() && !is_port(text.substr(host.size() + 1)))) return false;
    return host.starts_with('[') ? is_ipv6_in_brackets(host) : is_host_name(host);
}

std::string_view canonical_registry(std::string_view host) {
    return host == kHubOldName || host == kHubEndpoint ? kHub : host;
}

bool is_loopback_host(std::string_view text) {
    if (!is_registry_host(text)) return false;
    std::string host(without_port(text));
    if (host == "localhost") return true;
    in_addr four{};
    // Four whole numbers: what only begins with 127 may be anyone's name.
    if (::inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
    in6_addr six{};
    return host.starts_with('[') && ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six) == 1 &&
           IN6_IS_ADDR_LOOPBACK(&six);
}

std::string Reference::text() const {
    std::string out = registry + "/" + repository;
    if (!tag.empty()) out += ":" + tag;
    if (!digest.empty()) out += "@" + digest;
    return out;
}

std::string Reference::endpoint() const { return registry == kHub ? std::string(kHubEndpoint) : registry; }

bool Reference::is_loopback() const { return is_loopback_host(registry); }

Result<Reference> parse_reference(std::string_view text) {
    Parsing parsing{harmless_line(text, kShown), text, {}};
    if (parsing.name.starts_with(kScheme)) parsing.name.remove_prefix(kScheme.size());
    if (parsing.name.empty()) return fail(ErrorCode::bad_input, "an image's name is empty");
    VMETTE_CHECK_OK(take_digest(parsing));
    VMETTE_CHECK_OK(take_tag(parsing));
    VMETTE_CHECK_OK(take_registry(parsing));
    VMETTE_CHECK_OK(take_repository(parsing));
    return std::move(parsing.reference);
}

}  // namespace vmette::rootfs::oci
