#include "cli/table.h"

#include <algorithm>

namespace vmette::cli {
namespace {

/// A column is never cut below this.
constexpr std::size_t kNarrowest = 8;
constexpr std::string_view kGap = "  ";

bool starts_code_point(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

}  // namespace

std::size_t display_width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_code_point));
}

std::string shorten(std::string_view text, std::size_t width) {
    if (display_width(text) <= width) return std::string(text);
    if (width == 0) return {};
    std::size_t points = 0;
    std::size_t end = 0;
    for (; end < text.size(); ++end)
        if (starts_code_point(text[end]) && ++points == width) break;
    return std::string(text.substr(0, end)) + "…";
}

std::string Table::render(std::size_t width,
                          const std::function<std::string(int, std::size_t, const std::string&)>& paint) const {
    std::vector<std::size_t> widths;
    for (const auto& column : columns_) widths.push_back(display_width(column.heading));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));

    std::size_t total = kGap.size() * (columns_.size() - 1);
    for (std::size_t one : widths) total += one;
    while (width > 0 && total > width) {
        std::size_t widest = columns_.size();
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            if (!columns_[i].shrinks || widths[i] <= kNarrowest) continue;
            if (widest == columns_.size() || widths[i] > widths[widest]) widest = i;
        }
        if (widest == columns_.size()) break;
        --widths[widest];
        --total;
    }

    std::string out;
    auto line = [&](int number, auto cell) {
        std::string text;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            std::string word = shorten(cell(i), widths[i]);
            std::string padding(widths[i] - display_width(word), ' ');
            bool last = i + 1 == columns_.size();
            std::string shown = columns_[i].right ? padding + word : last ? word : word + padding;
            if (i > 0) text += kGap;
            text += paint ? paint(number, i, shown) : shown;
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + "\n";
    };
    line(-1, [&](std::size_t i) -> std::string_view { return columns_[i].heading; });
    for (std::size_t r = 0; r < rows_.size(); ++r)
        line(static_cast<int>(r), [&](std::size_t i) -> std::string_view { return rows_[r][i]; });
    return out;
}

}  // namespace vmette::cli
