#pragma once
/// Batches and their jobs as documents and as lines for people.

#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/console.h"
#include "store/batches.h"

namespace vmette::cli {

/// A batch whose process is gone is `interrupted`, whatever its row still says.
store::BatchStatus shown_status(const store::BatchRecord& batch);

/// Jobs as they are. Those of an interrupted batch as `batch resume` would find them: the queue still calls those
/// running that ran when their scheduler died.
struct ShownJobs {
    std::vector<store::JobRecord> jobs;
    store::JobCounts counts;
};
Result<ShownJobs> shown_jobs(store::Batches& batches, const store::BatchRecord& batch, WallTime now);

/// One line of JSON for `batch ls --json`, and the head of `batch show --json`; docs/batch.md documents the fields.
std::string batch_json(const store::BatchRecord& batch, const store::JobCounts& counts);
std::string counts_json(const store::JobCounts& counts);
std::string job_json(const store::BatchRecord& batch, const store::JobRecord& job);

/// "24 of 24 done, 23 ok, 1 failed".
std::string counts_text(const store::JobCounts& counts);
std::uint32_t settled_jobs(const store::JobCounts& counts);
std::uint32_t all_jobs(const store::JobCounts& counts);

Style style_of(store::BatchStatus status);
Style style_of(store::JobState state);

/// From a job's first attempt to its end, or to now; "-" when it was not begun.
std::string time_of(const store::JobRecord& job, WallTime now);

}  // namespace vmette::cli
