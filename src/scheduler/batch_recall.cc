#include "scheduler/batch_recall.h"

#include <algorithm>
#include <map>

#include "scheduler/retry.h"

namespace vmette::scheduler {
namespace {

bool is_open(store::JobState state) { return state == store::JobState::pending || state == store::JobState::running; }

/// What a job whose attempt never came to be is like again.
store::JobChange never_begun(const store::JobRecord& job) {
    store::JobChange change{.index = job.index, .state = store::JobState::pending};
    change.attempts = job.attempts - 1;
    return change;
}

}  // namespace

store::JobChange after_attempt(const store::JobRecord& job, const store::RunRecord& run, WallTime now, double dice) {
    using enum store::RunStatus;
    store::JobChange change{.index = job.index, .attempts = run.attempt, .reason = run.reason};
    change.exit_code = run.exit_code;
    change.run_id = run.id;
    change.detail = run.error;
    if (run.status == stopped) {
        change.state = store::JobState::pending;
        return change;
    }
    if (run.status == succeeded) {
        change.state = store::JobState::succeeded;
        change.at = run.finished_at.value_or(now);
        return change;
    }
    // A damaged rule is no rule: nothing is repeated that nobody asked to repeat.
    auto rule = retry_from_json(job.retry).value_or(manifest::Retry{});
    bool harmless = run.status == lost && !run.started_before_failure;
    if (auto wait = retry_after(rule, run.attempt, {run.reason, run.exit_code, harmless}, dice)) {
        change.state = store::JobState::pending;
        change.not_before = now + *wait;
        return change;
    }
    change.state = run.status == lost ? store::JobState::unknown : store::JobState::failed;
    change.at = run.finished_at.value_or(now);
    return change;
}

std::vector<store::JobChange> recall(const std::vector<store::JobRecord>& jobs,
                                     const std::vector<store::RunRecord>& attempts, WallTime now,
                                     const std::function<double()>& dice) {
    std::map<std::string_view, const store::RunRecord*> last;
    for (const auto& run : attempts) {
        auto& known = last[run.job];
        if (known == nullptr || known->attempt <= run.attempt) known = &run;
    }
    std::vector<store::JobChange> changes;
    for (const auto& job : jobs) {
        if (!is_open(job.state)) continue;
        auto found = last.find(job.name);
        std::uint32_t begun = found == last.end() ? 0 : found->second->attempt;
        bool running = job.state == store::JobState::running;
        if (begun > job.attempts || (running && begun == job.attempts))
            changes.push_back(after_attempt(job, *found->second, now, dice()));
        else if (running)
            changes.push_back(never_begun(job));
    }
    return changes;
}

void apply_recalled(std::vector<store::JobRecord>& jobs, const std::vector<store::JobChange>& changes) {
    for (const auto& change : changes) {
        auto job = std::ranges::find(jobs, change.index, &store::JobRecord::index);
        if (job == jobs.end()) continue;
        job->state = change.state;
        job->attempts = change.attempts;
        job->not_before = change.not_before;
        job->run_id = change.run_id;
        job->finished_at = change.at;
        if (change.attempts == 0) job->started_at.reset();
        if (change.reason.empty()) continue;
        job->reason = change.reason;
        job->exit_code = change.exit_code;
        job->detail = change.detail;
    }
}

}  // namespace vmette::scheduler
