#pragma once
/// Why a job of a batch ran, or has not, or took the result of an earlier run: what the queue and the history say.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/cache_decision.h"
#include "store/batches.h"

namespace vmette::scheduler {

/// A job, or a whole [[job]] table, that has not succeeded yet and that another waits for.
struct Awaited {
    std::string name;
    store::JobState state = store::JobState::pending;
    bool operator==(const Awaited&) const = default;
};

struct JobExplanation {
    store::JobRecord job;
    std::string why;              ///< one sentence without its full stop
    std::vector<Awaited> awaits;  ///< of a job that waits for others, in the file's order
    std::vector<store::RunRecord> attempts;
    std::optional<CacheDecision> decision;  ///< of a job with `cache = true` that was run
    std::optional<store::RunRecord>
        stored;  ///< the success that was reused, or was compared with; if it is still known
};

/// Explains the job of this name. Errors: not_found names the nearest; io.
Result<JobExplanation> explain_job(store::Store& store, const store::BatchRecord& batch, std::string_view name);

}  // namespace vmette::scheduler
