#include "manifest/text_rules.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "manifest/short_forms.h"

namespace vmette::manifest {
namespace {

constexpr std::size_t kMaxTagLength = 31;
constexpr std::size_t kMaxGuestPath = 1024;
constexpr std::size_t kMaxCmdline = 1024;  ///< of the 2048 that an x86 kernel takes (COMMAND_LINE_SIZE)

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool all_of(std::string_view text, bool (*fits)(char), std::string_view also_allowed) {
    return std::all_of(text.begin(), text.end(),
                       [&](char c) { return fits(c) || also_allowed.find(c) != also_allowed.npos; });
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= kMaxNameLength && lower_or_digit(text[0]) &&
           all_of(text, lower_or_digit, "._-");
}

bool is_tag(std::string_view text) {
    return !text.empty() && text.size() <= kMaxTagLength && lower_or_digit(text[0]) &&
           all_of(text, lower_or_digit, "_-") && text != "rootfs" && text != "ctl" && text != "certs";
}

bool is_env_name(std::string_view text) {
    if (text.empty() || text.size() > 255 || digit(text[0])) return false;
    return all_of(text, [](char c) { return letter(c) || digit(c) || c == '_'; }, "");
}

bool is_label(std::string_view text) {
    auto plain = [](char c) { return letter(c) || digit(c); };
    return !text.empty() && text.size() <= kMaxNameLength && plain(text[0]) && all_of(text, plain, "._/-");
}

bool is_guest_path(std::string_view text) {
    if (!text.starts_with('/') || text.size() > kMaxGuestPath) return false;
    for (std::size_t start = 1; start <= text.size();) {
        std::size_t end = std::min(text.find('/', start), text.size());
        if (text.substr(start, end - start) == "..") return false;
        start = end + 1;
    }
    return true;
}

/// Of at most 32 parts: a guest's search keeps a bit of each (guest/glob.h).
bool is_guest_glob(std::string_view text) {
    constexpr std::ptrdiff_t kMaxParts = 32;
    return is_guest_path(text) && std::count(text.begin(), text.end(), '/') <= kMaxParts;
}

bool under(std::string_view path, std::string_view folder) {
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool is_mount_point(std::string_view text) {
    if (!is_guest_path(text)) return false;
    std::string path = normal_guest_path(text);
    return path != "/" && !under(path, "/proc") && !under(path, "/sys") && !under(path, "/dev");
}

/// A decimal number of 32 bits but the last one, which chown(2) takes for "leave it".
bool is_id(std::string_view text) {
    std::uint32_t id = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    return !text.empty() && error == std::errc{} && end == text.data() + text.size() && id != UINT32_MAX;
}

bool is_user(std::string_view text) {
    std::size_t colon = text.find(':');
    if (colon != text.npos) return is_id(text.substr(0, colon)) && is_id(text.substr(colon + 1));
    if (is_id(text)) return true;
    bool starts_well = !text.empty() && (letter(text[0]) || text[0] == '_');
    return starts_well && text.size() <= 32 && all_of(text, [](char c) { return letter(c) || digit(c); }, "_.-");
}

bool is_one_line(std::string_view text) {
    return text.size() <= kMaxCmdline && std::none_of(text.begin(), text.end(), [](char c) {
               return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
           });
}

}  // namespace

constinit const TextRule kAnyText{[](std::string_view text) { return !text.empty(); }, "a string that is not empty",
                                  R"([\s\S])"};
constinit const TextRule kNameRule{
    is_name, "a name: lower-case letters, digits, '.', '_' and '-', at most 63, the first a letter or digit",
    "^[a-z0-9][a-z0-9._-]{0,62}$"};
constinit const TextRule kTagRule{
    is_tag,
    "a tag: lower-case letters, digits, '_' and '-', at most 31, the first a letter or digit, and "
    "none of the reserved \"rootfs\", \"ctl\", \"certs\"",
    "^(?!(rootfs|ctl|certs)$)[a-z0-9][a-z0-9_-]{0,30}$"};
constinit const TextRule kEnvNameRule{is_env_name, "a variable's name: letters, digits and '_', the first not a digit",
                                      "^[A-Za-z_][A-Za-z0-9_]{0,254}$"};
constinit const TextRule kLabelRule{
    is_label,
    "a label's name: letters, digits, '.', '_', '/' and '-', at most 63, the first a letter or "
    "digit",
    "^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$"};
constinit const TextRule kGuestDirRule{is_guest_path, "an absolute path in the guest, without '..'", "^/"};
constinit const TextRule kMountRule{
    is_mount_point, "an absolute path in the guest, without '..', and not /, /proc, /sys or /dev", "^/"};
constinit const TextRule kGuestGlobRule{
    is_guest_glob, "an absolute path or pattern in the guest, without '..' and of at most 32 parts", "^/"};
constinit const TextRule kUserRule{is_user, "a user's name, or uid[:gid]", "^[^:]+(:[^:]+)?$"};
constinit const TextRule kOneLineRule{is_one_line, "one line of at most 1024 bytes", "^[^\\n\\r]*$"};
constinit const TextRule kPortRule{
    [](std::string_view text) { return parse_port(text).has_value(); },
    "[HOST_IP:]HOST_PORT:GUEST_PORT[/udp], such as \"127.0.0.1:8080:80\" or \"[::1]:8080:80\"", ":"};
constinit const TextRule kAllowRule{
    [](std::string_view text) { return parse_allow(text).has_value(); },
    "a name, *.name, address or address/prefix, and :PORT perhaps, such as \"pypi.org\", "
    "\"*.debian.org:443\" or \"[2001:db8::/32]:443\"",
    "^[^\\s]+$"};

std::string normal_guest_path(std::string_view path) {
    std::string out;
    for (std::size_t start = 0; start < path.size();) {
        std::size_t end = std::min(path.find('/', start), path.size());
        std::string_view part = path.substr(start, end - start);
        if (!part.empty() && part != ".") out.append("/").append(part);
        start = end + 1;
    }
    return out.empty() ? "/" : out;
}

std::string fit_name(std::string_view text, std::size_t max_length, std::string_view also_allowed) {
    std::string out;
    for (char c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        bool fits = lower_or_digit(c) || also_allowed.find(c) != also_allowed.npos;
        if (!fits) c = '-';
        bool first = out.empty();
        if (first ? lower_or_digit(c) : fits || out.back() != '-') out += c;
        if (out.size() == max_length) break;
    }
    while (!out.empty() && out.back() == '-') out.pop_back();
    return out;
}

}  // namespace vmette::manifest
