#pragma once
/// What the history says of a batch whose driver died: the queue's rows brought up to date with the runs'.

#include <functional>
#include <vector>

#include "store/batches.h"

namespace vmette::scheduler {

/// What became of a job's last attempt while nobody drove the batch. Pure.
///
/// The runs are the truth: the row of an attempt is written before anything of it exists, and is durable once its
/// command begins. An attempt without a row never was; one that ended is counted as if its end had been heard; a lost
/// one is repeated when its command had not begun or the job's rule names "lost", else its outcome is unknown.
/// `attempts` are the batch's in order of job name and attempt, none of them running; `dice` as for retry_after().
std::vector<store::JobChange> recall(const std::vector<store::JobRecord>& jobs,
                                     const std::vector<store::RunRecord>& attempts, WallTime now,
                                     const std::function<double()>& dice);

/// The jobs as those changes leave them, in memory alone.
void apply_recalled(std::vector<store::JobRecord>& jobs, const std::vector<store::JobChange>& changes);

/// How a run's end changes its job; `now` is when the next try counts from. What a user's own interruption ended is
/// pending again.
store::JobChange after_attempt(const store::JobRecord& job, const store::RunRecord& run, WallTime now, double dice);

}  // namespace vmette::scheduler
