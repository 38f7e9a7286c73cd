#pragma once
/// What runs wrote, made searchable.

#include "base/layout.h"
#include "store/store.h"

namespace vmette::scheduler {

/// Puts what the logs of a finished run hold into the index of words, as config.toml has it: of each stream the
/// beginning and the end when it is longer than its share. A run without output, or without logs, costs nothing.
Result<> index_output(const Layout& layout, store::Store& store, const store::RunRecord& run);

}  // namespace vmette::scheduler
