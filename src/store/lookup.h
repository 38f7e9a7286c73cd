#pragma once
/// Finding a row by what a person types: an id, a name, the beginning of an id.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "store/database.h"

namespace vmette::store {

/// An id as it is stored: ULIDs are lower case.
std::string lower(std::string_view text);

/// The ids of `table` that begin with `prefix`, newest first, one more than are ever shown. Call it inside
/// Database::read.
std::vector<std::string> ids_with_prefix(Database& database, std::string_view table, const std::string& prefix);

/// Why there is not one `kind` ("run") by what was `asked`: `not_found`, or `bad_input` when `ids` (as
/// ids_with_prefix gave them) are several.
Failure not_one(std::string_view kind, std::string_view asked, std::vector<std::string> ids);

}  // namespace vmette::store
