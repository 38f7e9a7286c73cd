#pragma once
/// Tables for people.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vmette::cli {

/// Columns of one table, aligned. Cells must be harmless already.
class Table {
public:
    struct Column {
        std::string heading;
        bool right = false;    ///< numbers
        bool shrinks = false;  ///< gives way when the table is too wide
    };
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.empty(); }
    /// At most `width` columns wide (0: no limit) as far as the shrinking columns allow. `paint` gets (row, column,
    /// padded text), the heading's row being -1; it may add what takes no space on the screen.
    std::string render(std::size_t width,
                       const std::function<std::string(int, std::size_t, const std::string&)>& paint = {}) const;

private:
    std::vector<Column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

/// Code points: what the text takes on most screens.
std::size_t display_width(std::string_view text);
/// The text cut to so many code points, the last one being "…" when it was cut.
std::string shorten(std::string_view text, std::size_t width);

}  // namespace vmette::cli
