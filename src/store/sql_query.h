#pragma once
/// Questions in the user's own SQL, over documented views (docs/history.md) of a database that cannot be written to.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/units.h"
#include "store/condition.h"

namespace vmette::store {

struct SqlLimits {
    Duration time = std::chrono::seconds(10);
    std::uint64_t rows = 100'000;  ///< 0: no limit
};

/// A view that may be asked, and the columns that it has.
struct SqlView {
    std::string_view name;
    std::string_view definition;  ///< a SELECT
};
std::span<const SqlView> sql_views();

struct SqlResult {
    std::vector<std::string> columns;
    std::uint64_t rows = 0;
    bool cut = false;  ///< there were more rows than the limit
};

/// Runs one SELECT on a connection of its own. `row` is given the values of each row, and the names before the first;
/// false from it ends the query. Errors: `bad_input` (what SQLite says of the text, or that it reaches for more than
/// the views), `timeout`, and those of Store::open_read_only.
Result<SqlResult> run_sql(const std::filesystem::path& database, std::string_view sql, const SqlLimits& limits,
                          const std::function<bool(const SqlResult&, std::span<const SqlValue>)>& row);

}  // namespace vmette::store
