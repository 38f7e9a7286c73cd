#pragma once
/// ${NAME}, ${NAME:-default} and $$ in string values.

#include <functional>
#include <optional>
#include <string>

#include "manifest/keys.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// All expanded strings of one manifest together may have so many bytes: a variable named often enough costs no more.
constexpr std::size_t kMaxExpandedBytes = 4 << 20;

/// Looks up a variable of the environment.
using Environment = std::function<std::optional<std::string>(const std::string&)>;

/// Expands every string below `table` whose key says so (`exec` and `metadata` say no). An unset variable without a
/// default, an unfinished ${ and a value that TOML cannot hold are reported at the string.
/// Templates are left alone: theirs is done when they are compiled.
void expand_strings(Value& table, const Key& key, const Environment& environment, Report& report);

}  // namespace vmette::manifest
