#pragma once
/// Several manifests as one tree.

#include "manifest/keys.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// Writes the short forms of the root's tables (`rootfs = "x"`, `scratch = "8G"`) as the tables they stand for, so that
/// they merge with tables.
void widen_short_forms(Value& root, const Key& key);

/// Lays `over` upon `base`: tables merge key by key, all else is replaced. Places go with the values.
void merge(Value& base, Value over);

}  // namespace vmette::manifest
