#include "rootfs/source.h"

#include <algorithm>

#include "base/digest.h"
#include "base/source_path.h"
#include "base/text.h"

namespace vmette::rootfs {
namespace {

constexpr std::string_view kChecksum = "sha256=";
constexpr std::size_t kSha256Digits = 64;

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

Result<std::string> parse_checksum(const std::string& source, std::string_view fragment) {
    if (!fragment.starts_with(kChecksum))
        return fail(ErrorCode::bad_input, "{}: after # only sha256=… is known", harmless_line(source));
    std::string digits(fragment.substr(kChecksum.size()));
    if (digits.size() != kSha256Digits || !std::all_of(digits.begin(), digits.end(), is_hex))
        return fail(ErrorCode::bad_input, "{}: a SHA-256 has {} hexadecimal digits", harmless_line(source),
                    kSha256Digits);
    for (char& c : digits)
        if (c >= 'A' && c <= 'F') c = static_cast<char>(c | 0x20);
    return digits;
}

Result<std::filesystem::path> parse_file(const std::string& source, std::string_view kind, std::string_view rest) {
    std::string path = percent_decoded(rest);
    if (!path.starts_with('/') || path.size() < 2 || path.find('\0') != path.npos)
        return fail(ErrorCode::bad_input, "{}: a file is named by its absolute path ({}+file:///path)",
                    harmless_line(source), kind);
    return std::filesystem::path(path).lexically_normal();
}

Result<> check_url(const std::string& source, std::string_view after_scheme) {
    std::string_view host = after_scheme.substr(0, after_scheme.find_first_of("/?"));
    if (host.empty()) return fail(ErrorCode::bad_input, "{}: the URL names no host", harmless_line(source));
    if (host.find('@') != host.npos)
        return fail(ErrorCode::bad_input,
                    "the source has a user name or a password in its URL, where it would be stored and shown");
    bool odd = std::any_of(after_scheme.begin(), after_scheme.end(), [](char c) { return c <= ' ' || c == 0x7f; });
    if (odd) return fail(ErrorCode::bad_input, "{}: a URL holds no blanks", harmless_line(source));
    return {};
}

}  // namespace

std::string UrlSource::key() const { return sha256_hex(text); }

Result<UrlSource> parse_url_source(const std::string& source, std::string_view kind) {
    UrlSource out;
    out.text = source;
    std::string_view rest = std::string_view(source).substr(kind.size() + 1);
    if (auto hash = rest.rfind('#'); hash != rest.npos) {
        VMETTE_TRY(out.sha256, parse_checksum(source, rest.substr(hash + 1)));
        rest = rest.substr(0, hash);
    }
    if (rest.starts_with("file://")) {
        VMETTE_TRY(out.file, parse_file(source, kind, rest.substr(7)));
    } else if (rest.starts_with("http://") || rest.starts_with("https://")) {
        VMETTE_CHECK_OK(check_url(source, rest.substr(rest.find("://") + 3)));
        out.url = rest;
    } else {
        return fail(ErrorCode::bad_input, "{}: expected {}+file:///path, {}+http://… or {}+https://…",
                    harmless_line(source), kind, kind, kind);
    }
    return out;
}

Result<> check_url_source(const std::string& source, std::string_view kind) {
    VMETTE_TRY(UrlSource parsed, parse_url_source(source, kind));
    std::error_code error;
    if (parsed.is_file() && parsed.sha256.empty() && !std::filesystem::exists(parsed.file, error) && !error)
        return fail(ErrorCode::not_found, "the file {} does not exist", harmless_line(parsed.file.string()));
    return {};
}

}  // namespace vmette::rootfs
