#pragma once
/// From a batch manifest to a batch in the queue.

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "manifest/batch.h"
#include "scheduler/batch_rules.h"
#include "store/batches.h"

namespace vmette::scheduler {

/// What is wrong with a batch: places in its files, or an error beside them.
struct BatchRefusal {
    std::vector<manifest::Diagnostic> diagnostics;
    std::optional<Error> error;
};

struct NewBatch {
    store::BatchRecord batch;
    /// It is one that was there before: equal to the letter, not driven by anybody, with jobs left.
    bool resumed = false;
};

/// How a batch is made.
struct BatchRequest {
    const manifest::LoadRequest& manifest;
    std::string file;  ///< as the user named it
    HostSize host;
    bool always_new = false;  ///< also when an equal one could be resumed
};

/// Expands the manifest and writes the batch with all its jobs, or nothing; the caller owns it then and drives it.
/// Every job must fit into the pool and use what this version has.
std::expected<NewBatch, BatchRefusal> create_batch(store::Store& store, const Clock& clock,
                                                   const BatchRequest& request);

/// Whether jobs of a batch are left that its driver, which is gone, did not finish.
bool is_resumable(const store::BatchRecord& batch);

}  // namespace vmette::scheduler
