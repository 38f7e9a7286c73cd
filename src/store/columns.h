#pragma once
/// The SQL text of a record's columns, from the visitor that also binds and reads them: one list, one order.

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace vmette::store {

/// Parameters are numbered from `first`: leave room before them for what is not the record's.
struct ColumnTexts {
    std::string names;         ///< "id, name"
    std::string placeholders;  ///< "?1, ?2"
    std::string assignments;   ///< "id = ?1, name = ?2"
    int count = 0;

    explicit ColumnTexts(int first = 1) : first_(first) {}
    void add(std::string_view name) {
        std::string_view comma = count == 0 ? "" : ", ";
        int number = first_ + count++;
        names += fmt::format("{}{}", comma, name);
        placeholders += fmt::format("{}?{}", comma, number);
        assignments += fmt::format("{}{} = ?{}", comma, name, number);
    }

private:
    int first_;
};

}  // namespace vmette::store
