#include "base/source_path.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace vmette {
namespace {

constexpr std::string_view kFile = "file://";
constexpr std::array<std::string_view, 3> kImages{"oci-layout:", "oci-archive:", "docker-archive:"};
/// Before "+file://"; what is longer is part of something else, such as a URL's query.
constexpr std::size_t kLongestKind = 20;

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

int hex_value(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

bool is_escape(std::string_view text, std::size_t at) {
    return text[at] == '%' && at + 2 < text.size() && is_hex(text[at + 1]) && is_hex(text[at + 2]);
}

SourcePath path_at(std::string_view source, std::size_t start, std::string_view reserved) {
    SourcePath out{.start = start, .reserved = reserved};
    out.size = std::min(source.find_first_of(reserved, start), source.size()) - start;
    out.path = percent_decoded(source.substr(start, out.size));
    return out;
}

}  // namespace

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_escape(text, i)) {
            out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::optional<SourcePath> find_source_path(std::string_view source) {
    for (std::string_view start : kImages)
        if (source.starts_with(start)) return path_at(source, start.size(), ":");
    std::size_t at = source.find(kFile);
    bool is_file = at == 0 || (at != source.npos && source[at - 1] == '+' && at < kLongestKind);
    return is_file ? std::optional(path_at(source, at + kFile.size(), "#")) : std::nullopt;
}

std::string with_path(std::string_view source, const SourcePath& found, const std::filesystem::path& path) {
    std::string out(source.substr(0, found.start));
    const std::string& text = path.native();
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto byte = static_cast<unsigned char>(text[i]);
        bool spelt_out =
            byte < ' ' || byte == 0x7F || is_escape(text, i) || found.reserved.find(text[i]) != std::string_view::npos;
        if (spelt_out)
            out += fmt::format("%{:02X}", byte);
        else
            out += text[i];
    }
    return out.append(source.substr(found.start + found.size));
}

}  // namespace vmette
