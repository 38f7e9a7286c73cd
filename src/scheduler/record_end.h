#pragma once
/// How the end of a run gets into the history.

#include "base/error.h"
#include "store/store.h"

namespace vmette::scheduler {

/// Writes the finished `record`. On a full disk the run's own output makes room for what became of it: the end of its
/// longest log goes, and counts as dropped. Errors: those of Store::update_run().
Result<> record_end(store::Store& store, store::RunRecord& record);

}  // namespace vmette::scheduler
