#include "store/values.h"

#include <algorithm>
#include <limits>

#include "store/sqlite_error.h"

namespace vmette::store {
namespace {

/// What four digits of a year can hold, in milliseconds: 0001-01-01 to 9999-12-31T23:59:59.999.
constexpr std::int64_t kFirstInstant = -62'135'596'800'000;
constexpr std::int64_t kLastInstant = 253'402'300'799'999;

std::int64_t integer(const SQLite::Column& column, std::int64_t least, std::int64_t most) {
    std::int64_t value = column.getInt64();
    if (!column.isInteger() || value < least || value > most)
        throw DamagedRow(fmt::format("a value of column {} makes no sense", column.getName()));
    return value;
}

template <typename T>
T integer(const SQLite::Column& column) {
    return static_cast<T>(integer(column, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

}  // namespace

void bind_value(SQLite::Statement& statement, int index, const std::string& value) {
    if (!value.empty()) bind_text(statement, index, value);
}

void bind_value(SQLite::Statement& statement, int index, std::int64_t value) { statement.bind(index, value); }

void bind_value(SQLite::Statement& statement, int index, std::uint64_t value) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    statement.bind(index, static_cast<std::int64_t>(std::min(value, kMost)));
}

void bind_value(SQLite::Statement& statement, int index, WallTime value) {
    statement.bind(index, std::int64_t{value.time_since_epoch().count()});
}

void bind_text(SQLite::Statement& statement, int index, std::string_view value) {
    statement.bind(index, std::string(value));
}

void read_value(const SQLite::Column& column, std::string& value) { value = column.getString(); }
void read_value(const SQLite::Column& column, std::int64_t& value) { value = integer<std::int64_t>(column); }
void read_value(const SQLite::Column& column, std::uint32_t& value) { value = integer<std::uint32_t>(column); }
void read_value(const SQLite::Column& column, std::uint16_t& value) { value = integer<std::uint16_t>(column); }
void read_value(const SQLite::Column& column, int& value) { value = integer<int>(column); }
void read_value(const SQLite::Column& column, bool& value) { value = integer(column, 0, 1) != 0; }
void read_value(const SQLite::Column& column, double& value) { value = column.getDouble(); }

void read_value(const SQLite::Column& column, std::uint64_t& value) {
    value = static_cast<std::uint64_t>(integer(column, 0, std::numeric_limits<std::int64_t>::max()));
}

void read_value(const SQLite::Column& column, WallTime& value) {
    value = WallTime(std::chrono::milliseconds(integer(column, kFirstInstant, kLastInstant)));
}

}  // namespace vmette::store
