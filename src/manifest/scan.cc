#include "manifest/scan.h"

#include <algorithm>

#include "base/text.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {
namespace {

constexpr std::uint32_t kMaxDots = 32;  ///< of one dotted key

ScanProblem problem_at(std::string_view text, std::size_t offset, std::string message) {
    ScanProblem problem{1, 1, std::move(message)};
    std::size_t start = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    for (std::size_t i = start; i < offset; ++i) {
        bool continuation = (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
        if (text[i] == '\n') {
            ++problem.line;
            problem.column = 1;
        } else if (!continuation) {
            ++problem.column;
        }
    }
    return problem;
}

/// Offset of the first byte that is not well-formed UTF-8; the text has one.
std::size_t first_broken_byte(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        auto lead = static_cast<unsigned char>(text[at]);
        std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (at + length > text.size() || !valid_utf8(text.substr(at, length))) return at;
        at += length;
    }
    return at;
}

/// Offset past the string whose first quote is at `at`. Unterminated strings end where the parser gives up on them.
std::size_t skip_string(std::string_view text, std::size_t at) {
    char quote = text[at];
    bool escapes = quote == '"';
    std::string_view triple = escapes ? R"(""")" : "'''";
    bool multi_line = text.substr(at).starts_with(triple);
    at += multi_line ? 3 : 1;
    for (; at < text.size(); ++at) {
        if (escapes && text[at] == '\\') {
            ++at;
        } else if (!multi_line && (text[at] == quote || text[at] == '\n')) {
            return text[at] == quote ? at + 1 : at;
        } else if (multi_line && text.substr(at).starts_with(triple)) {
            at += 3;
            // TOML lets one or two quotes stand directly before the closing three.
            for (int extra = 0; extra < 2 && at < text.size() && text[at] == quote; ++extra) ++at;
            return at;
        }
    }
    return text.size();
}

std::optional<ScanProblem> scan_nesting(std::string_view text) {
    std::uint32_t depth = 0;
    std::uint32_t dots = 0;
    for (std::size_t at = 0; at < text.size();) {
        switch (text[at]) {
            case '#':
                at = std::min(text.find('\n', at), text.size());
                continue;
            case '"':
            case '\'':
                at = skip_string(text, at);
                continue;
            case '[':
            case '{':
                ++depth;
                dots = 0;
                break;
            case ']':
            case '}':
                depth -= depth > 0 ? 1 : 0;
                dots = 0;
                break;
            case '=':
            case ',':
            case '\n':
                dots = 0;
                break;
            case '.':
                ++dots;
                break;
            default:
                break;
        }
        if (depth > kMaxNesting)
            return problem_at(text, at, fmt::format("nested more than {} levels deep", kMaxNesting));
        if (dots > kMaxDots)
            return problem_at(text, at, fmt::format("a dotted key with more than {} parts", kMaxDots + 1));
        ++at;
    }
    return std::nullopt;
}

}  // namespace

std::optional<ScanProblem> scan_encoding(std::string_view text) {
    if (std::size_t nul = text.find('\0'); nul != text.npos) return problem_at(text, nul, "a NUL byte");
    if (!valid_utf8(text)) return problem_at(text, first_broken_byte(text), "a byte that is not valid UTF-8");
    return std::nullopt;
}

std::optional<ScanProblem> scan_text(std::string_view text) {
    auto problem = scan_encoding(text);
    return problem ? problem : scan_nesting(text);
}

}  // namespace vmette::manifest
