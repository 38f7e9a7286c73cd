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

/// Selects the keys of the runs, in their order.
struct RunQuery {
    struct Argument {
        explicit Argument(std::int64_t value) : number(value) {}
        explicit Argument(std::string_view value) : text(value) {}
        std::optional<std::int64_t> number;
        std::string text;
    };
    std::string sql;
    std::vector<Argument> arguments;

    void bind(SQLite::Statement& statement) const;
};

/// Errors: bad_input (an unknown sort key, a pattern of absurd length).
Result<RunQuery> query_of(const RunFilter& filter);

}  // namespace vmette::store
