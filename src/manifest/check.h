#pragma once
/// Holds a merged tree against the table of keys.

#include <string_view>

#include "manifest/keys.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// Reports every unknown key, wrong type, and text or number that its key does not allow, and marks it `bad`. In what
/// is left, sizes, durations and choices stand in Value::number, and every text fits its rule.
void check(Value& root, const Key& key, Report& report);

}  // namespace vmette::manifest
