#pragma once
/// C++ values in SQL columns and back. An empty text, an absent optional: NULL.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <SQLiteCpp/SQLiteCpp.h>

#include "base/clock.h"

namespace vmette::store {

void bind_value(SQLite::Statement& statement, int index, const std::string& value);
void bind_value(SQLite::Statement& statement, int index, std::int64_t value);
/// SQLite's integers have a sign: what is beyond 2^63-1 is stored as that.
void bind_value(SQLite::Statement& statement, int index, std::uint64_t value);
void bind_value(SQLite::Statement& statement, int index, WallTime value);
inline void bind_value(SQLite::Statement& s, int index, bool value) { bind_value(s, index, std::int64_t{value}); }
inline void bind_value(SQLite::Statement& s, int index, int value) { bind_value(s, index, std::int64_t{value}); }
inline void bind_value(SQLite::Statement& s, int index, std::uint32_t value) {
    bind_value(s, index, std::int64_t{value});
}
inline void bind_value(SQLite::Statement& s, int index, std::uint16_t value) {
    bind_value(s, index, std::int64_t{value});
}
inline void bind_value(SQLite::Statement& statement, int index, double value) { statement.bind(index, value); }
template <typename T>
void bind_value(SQLite::Statement& statement, int index, const std::optional<T>& value) {
    if (value) bind_value(statement, index, *value);
}

/// A text that stays a text when it is empty (columns that are NOT NULL).
void bind_text(SQLite::Statement& statement, int index, std::string_view value);

/// Each throws DamagedRow on a value that does not fit.
void read_value(const SQLite::Column& column, std::string& value);
void read_value(const SQLite::Column& column, std::int64_t& value);
void read_value(const SQLite::Column& column, std::uint64_t& value);
void read_value(const SQLite::Column& column, std::uint32_t& value);
void read_value(const SQLite::Column& column, std::uint16_t& value);
void read_value(const SQLite::Column& column, int& value);
void read_value(const SQLite::Column& column, bool& value);
void read_value(const SQLite::Column& column, double& value);
void read_value(const SQLite::Column& column, WallTime& value);
template <typename T>
void read_value(const SQLite::Column& column, std::optional<T>& value) {
    value.reset();
    if (!column.isNull()) read_value(column, value.emplace());
}

}  // namespace vmette::store
