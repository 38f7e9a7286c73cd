#pragma once
/// The schema's versions. Each migration is a file migrations/NNNN_name.sql, embedded at build time.

#include <span>
#include <string_view>

#include "base/error.h"

namespace vmette::store {

class Database;

struct Migration {
    int version = 0;  ///< 1, 2, …: PRAGMA user_version once it is applied
    std::string_view name;
    std::string_view sql;
};

/// All that this program knows, in order.
std::span<const Migration> migrations();

/// Applies those that are missing, each in one transaction of its own. Safe against other processes that do the same
/// at the same time. `unsupported` when the schema is newer than the last of them.
Result<> migrate(Database& database, std::span<const Migration> known);

/// `unsupported` when it is newer than the last of them; `io` when it is no history of ours.
Result<> require_not_newer(Database& database, std::span<const Migration> known);

/// `unsupported` unless all of them are applied and no others.
Result<> require_current(Database& database, std::span<const Migration> known);

}  // namespace vmette::store
