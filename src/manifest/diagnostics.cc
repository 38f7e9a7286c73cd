#include "manifest/diagnostics.h"

#include <algorithm>
#include <array>
#include <tuple>

#include "base/text.h"

namespace vmette::manifest {
namespace {

constexpr std::size_t kMaxMessageBytes = 400;

/// The code point at the start of `text` and its bytes; U+FFFD and one byte when it is broken.
struct CodePoint {
    char32_t value = 0xFFFD;
    std::size_t bytes = 1;
};

CodePoint first_code_point(std::string_view text) {
    auto lead = static_cast<unsigned char>(text[0]);
    if (lead < 0x80) return {lead, 1};
    std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (text.size() < bytes || !valid_utf8(text.substr(0, bytes))) return {};
    char32_t value = lead & (0xFFU >> (bytes + 1));
    for (std::size_t i = 1; i < bytes; ++i) value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
    return {value, bytes};
}

struct Range {
    char32_t first, last;
};

template <std::size_t N>
bool in_any(char32_t c, const std::array<Range, N>& ranges) {
    return std::any_of(ranges.begin(), ranges.end(), [c](Range r) { return c >= r.first && c <= r.last; });
}

/// What could move the cursor or turn the reading order: C0, DEL, C1, line separators, marks of text direction.
bool unsafe_to_show(char32_t c) {
    constexpr std::array kRanges{Range{0, 0x1F},          Range{0x7F, 0x9F},     Range{0x200B, 0x200F},
                                 Range{0x2028, 0x202E},   Range{0x2066, 0x2069}, Range{0xFEFF, 0xFEFF},
                                 Range{0xE0000, 0xE0FFF}, Range{0xFFFD, 0xFFFD}};
    return in_any(c, kRanges);
}

/// Cells of a terminal, after the wide blocks of Unicode's East Asian Width (UAX 11) and the combining marks.
std::uint32_t cells(char32_t c) {
    constexpr std::array kWide{Range{0x1100, 0x115F},  Range{0x2E80, 0xA4CF},   Range{0xAC00, 0xD7A3},
                               Range{0xF900, 0xFAFF},  Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},
                               Range{0xFFE0, 0xFFE6},  Range{0x1F300, 0x1F64F}, Range{0x1F900, 0x1F9FF},
                               Range{0x20000, 0x3FFFD}};
    constexpr std::array kCombining{Range{0x300, 0x36F}, Range{0x20D0, 0x20FF}, Range{0xFE00, 0xFE0F}};
    if (in_any(c, kCombining)) return 0;
    return in_any(c, kWide) ? 2 : 1;
}

std::string_view line_of(std::string_view text, std::uint32_t number) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (std::uint32_t i = 1; i < number; ++i) {
        std::size_t end = text.find('\n');
        if (end == text.npos) return {};
        text.remove_prefix(end + 1);
    }
    text = text.substr(0, text.find('\n'));
    if (text.ends_with('\r')) text.remove_suffix(1);
    return text;
}

}  // namespace

Excerpt excerpt(std::string_view line, std::uint32_t column) {
    constexpr std::uint32_t kBefore = 60;  // code points kept left of the caret when the line is cut
    constexpr std::uint32_t kShown = 100;  // code points shown of one line
    Excerpt out;
    std::uint32_t skipped = column > kShown - 20 ? column - kBefore : 0;
    std::uint32_t position = 1;
    if (skipped > 0) {
        out.line = "…";
        out.caret = 1;
    }
    while (!line.empty()) {
        CodePoint c = first_code_point(line);
        if (position > skipped) {
            if (position - skipped > kShown) {
                out.line += "…";
                break;
            }
            if (c.value == '\t')
                out.line += ' ';
            else if (unsafe_to_show(c.value))
                out.line += "\xEF\xBF\xBD";
            else
                out.line += line.substr(0, c.bytes);
            if (position < column) out.caret += unsafe_to_show(c.value) ? 1 : cells(c.value);
        }
        line.remove_prefix(c.bytes);
        ++position;
    }
    return out;
}

void Report::add_shown(Place place, std::string_view message, std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    add_problem({place, std::string(message), excerpt(line, place.column)});
}

void Report::add_known(std::uint32_t origin, const Diagnostic& known) {
    add_problem({{origin, known.line, known.column}, known.message, Excerpt{known.source_line, known.caret}});
}

void Report::add_problem(Problem problem) {
    problem.message = harmless_line(problem.message, kMaxMessageBytes);
    auto same = [&](const Problem& said) { return said.place == problem.place && said.message == problem.message; };
    if (std::ranges::any_of(problems_, same)) return;
    if (problems_.size() < kMaxDiagnostics)
        problems_.push_back(std::move(problem));
    else
        ++dropped_;
}

std::vector<Diagnostic> Report::diagnostics() const {
    std::vector<Problem> sorted = problems_;
    std::stable_sort(sorted.begin(), sorted.end(), [](const Problem& a, const Problem& b) {
        return std::tie(a.place.origin, a.place.line, a.place.column) <
               std::tie(b.place.origin, b.place.line, b.place.column);
    });
    std::vector<Diagnostic> out;
    for (const Problem& problem : sorted) {
        Diagnostic diagnostic;
        diagnostic.message = problem.message;
        if (problem.place.origin < origins_.size()) {
            const Origin& origin = origins_[problem.place.origin];
            diagnostic.file = harmless_line(origin.name);
            if (problem.place.line > 0 && !origin.flag) {
                diagnostic.line = problem.place.line;
                diagnostic.column = problem.place.column;
                Excerpt shown =
                    problem.shown ? *problem.shown : excerpt(line_of(origin.text, diagnostic.line), diagnostic.column);
                diagnostic.source_line = std::move(shown.line);
                diagnostic.caret = shown.caret;
            }
        }
        out.push_back(std::move(diagnostic));
    }
    if (dropped_ > 0) {
        Diagnostic rest;
        rest.message = fmt::format("{} more {} not shown", dropped_, dropped_ == 1 ? "is" : "are");
        out.push_back(std::move(rest));
    }
    return out;
}

std::string render(const std::vector<Diagnostic>& diagnostics) {
    std::string out;
    for (const Diagnostic& d : diagnostics) {
        if (!out.empty()) out += '\n';
        if (!d.file.empty()) out += d.file + ':';
        if (d.line > 0) out += fmt::format("{}:{}:", d.line, d.column);
        if (!d.file.empty()) out += ' ';
        out += "error: " + d.message + '\n';
        if (!d.source_line.empty()) out += fmt::format("    {}\n    {:{}}^\n", d.source_line, "", d.caret);
    }
    return out;
}

}  // namespace vmette::manifest
