#pragma once
/// Holds a merged tree against the table of keys.

#include <string_view>

#include "manifest/keys.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// Reports every unknown key, wrong type, and text or number that its key does not allow, and marks it `bad`. In what
/// is left, sizes, durations and choices stand in Value::number, and every text fits its rule.
void check(Value& root, const Key& key, Report& report);

/// The same for one entry of the root table.
void check_entry(Entry& entry, const Key& root, Report& report);

/// Short forms of the shares that hold a template as the tables they stand for, so that what is put in cannot change
/// which part is which. Others, and what is no short form, are left for check().
void widen_template_shares(Value& shares);

}  // namespace vmette::manifest
