#pragma once
/// A RunFilter as SQL.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "store/store.h"

namespace vmette::store {

struct RunQuery {
    std::string sql;
    std::vector<SqlValue> arguments;

    void bind(SQLite::Statement& statement) const;
};

/// Selects `columns` of the runs, in their order. The keys alone when nothing else is said: whole rows would be copied
/// into the sorter, most of them to be dropped by the limit. Errors: bad_input (an unknown sort key, a pattern of
/// absurd length).
Result<RunQuery> query_of(const RunFilter& filter, std::string_view columns = "runs.key");
/// The same in no order and without the limit.
Result<RunQuery> unordered_query_of(const RunFilter& filter, std::string_view columns);

}  // namespace vmette::store
