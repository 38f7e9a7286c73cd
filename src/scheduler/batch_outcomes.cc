/// What a batch does when something in it ends.

#include <algorithm>
#include <csignal>

#include "base/text.h"
#include "scheduler/batch_driver.h"
#include "scheduler/batch_recall.h"

namespace vmette::scheduler {
namespace {

PlanState settled_state(store::JobState state) {
    switch (state) {
        case store::JobState::succeeded:
            return PlanState::succeeded;
        case store::JobState::cancelled:
            return PlanState::cancelled;
        case store::JobState::unknown:
            return PlanState::unknown;
        default:
            return PlanState::failed;
    }
}

}  // namespace

void BatchDriver::hear_attempts() {
    for (auto& heard : host_.attempts.take()) {
        if (!running_.contains(heard.job)) continue;
        if (heard.kind == AttemptEvent::Kind::ended) {
            attempt_ended(heard);
            continue;
        }
        bool phase = heard.kind == AttemptEvent::Kind::phase;
        // From here on the command runs: the host bore one more machine.
        if (phase && heard.text == "exec") throttle_.came_up();
        auto told = event(phase ? BatchEvent::Kind::job_phase : BatchEvent::Kind::warning, heard.job);
        told.attempt = jobs_[heard.job].attempts;
        told.run_id = jobs_[heard.job].run_id;
        told.text = harmless_line(heard.text);
        tell(std::move(told));
    }
}

void BatchDriver::attempt_ended(AttemptEvent& heard) {
    auto node = running_.extract(heard.job);
    const Running& running = node.mapped();
    used_ -= plan_->room(heard.job);
    if (running.claim != 0) {
        if (auto released = queue_.release_claim(running.claim); !released) warn(released.error().text());
    }
    auto& job = jobs_[heard.job];
    if (heard.record.id.empty()) {
        // Not even a row could be written: nothing of it ran.
        heard.record.status = store::RunStatus::failed;
        heard.record.reason = "vm-error";
        heard.record.error = heard.text;
        heard.record.attempt = job.attempts;
    }
    if (heard.reused) {
        // It ended long ago; for this job it ends now.
        heard.record.attempt = job.attempts;
        heard.record.finished_at = host_.clock.now();
    }
    auto change = after_attempt(job, heard.record, host_.clock.now(), host_.dice());
    if (heard.record.status == store::RunStatus::stopped && running.cancelled) {
        change.state = store::JobState::cancelled;
        change.at = host_.clock.now();
    }
    auto duration = std::chrono::duration_cast<Duration>(host_.clock.monotonic() - running.since);
    change.reused = heard.reused;
    settle(heard.job, change, heard, duration);
}

void BatchDriver::settle(std::uint32_t index, const store::JobChange& change, const AttemptEvent& heard,
                         Duration duration) {
    auto& job = jobs_[index];
    auto wall = host_.clock.now();
    job.state = change.state;
    job.reason = change.reason;
    job.exit_code = change.exit_code;
    job.detail = change.detail;
    job.reused = change.reused;
    if (change.reused) job.run_id = change.run_id;
    job.not_before = change.not_before;
    changes_.push_back(change);
    bool again = change.state == store::JobState::pending;
    auto told = event(again ? BatchEvent::Kind::job_retried : BatchEvent::Kind::job_ended, index);
    if (again) {
        auto wait = change.not_before ? std::max(*change.not_before - wall, Duration(0)) : Duration(0);
        plan_->retry(index, wait.count() > 0 ? now() + wait.count() : 0);
        told.wait = wait;
    } else {
        plan_->finished(index, settled_state(change.state));
        job.finished_at = wall;
        // What was reused can be reused again.
        durable_ = durable_ || !change.reused;
    }
    told.attempt = job.attempts;
    told.run_id = job.run_id;
    told.state = change.state;
    told.reason = change.reason;
    told.exit_code = change.exit_code;
    told.duration = duration;
    told.reused = heard.reused;
    told.text = harmless_line(change.detail);
    told.counts = counts();
    tell(std::move(told));
    if (!again) check_limits(change.state);
}

void BatchDriver::check_limits(store::JobState state) {
    if (state != store::JobState::failed && state != store::JobState::unknown) return;
    ++failures_;
    if (rules_.fail_fast) {
        end_early(Ending::fail_fast, "a job failed, and the batch is to fail fast");
        plan_->cancel_pending();
        stop_running(SIGTERM, true);
    } else if (rules_.max_failures != 0 && failures_ >= rules_.max_failures) {
        end_early(Ending::max_failures, fmt::format("{} jobs failed: no new ones are started", failures_));
    }
}

void BatchDriver::note_settled() {
    for (const auto& settled : plan_->take_settled()) {
        auto& job = jobs_[settled.job];
        bool skipped = settled.state == PlanState::skipped;
        job.state = skipped ? store::JobState::skipped : store::JobState::cancelled;
        store::JobChange change{.index = settled.job, .state = job.state, .attempts = job.attempts};
        change.reason = skipped ? "skipped" : "cancelled";
        change.run_id = job.run_id;
        if (skipped) {
            const auto& cause = jobs_[settled.because_of];
            change.detail =
                fmt::format("needs {}, which {}", cause.name,
                            cause.state == store::JobState::cancelled ? "was cancelled" : "did not succeed");
        }
        change.at = host_.clock.now();
        job.reason = change.reason;
        job.detail = change.detail;
        job.finished_at = change.at;
        auto told = event(BatchEvent::Kind::job_settled, settled.job);
        told.state = job.state;
        told.reason = change.reason;
        told.text = harmless_line(change.detail);
        changes_.push_back(std::move(change));
        durable_ = true;
        tell(std::move(told));
    }
}

store::BatchStatus BatchDriver::final_status() const {
    if (ending_ == Ending::interrupted) return store::BatchStatus::interrupted;
    if (ending_ == Ending::cancelled) return store::BatchStatus::cancelled;
    return plan_->count(PlanState::succeeded) == plan_->size() ? store::BatchStatus::succeeded
                                                               : store::BatchStatus::failed;
}

store::JobCounts BatchDriver::counts() const {
    store::JobCounts out;
    out.pending = plan_->count(PlanState::pending);
    out.running = plan_->count(PlanState::running);
    out.succeeded = plan_->count(PlanState::succeeded);
    out.failed = plan_->count(PlanState::failed);
    out.skipped = plan_->count(PlanState::skipped);
    out.cancelled = plan_->count(PlanState::cancelled);
    out.unknown = plan_->count(PlanState::unknown);
    return out;
}

BatchEvent BatchDriver::event(BatchEvent::Kind kind, std::optional<std::uint32_t> job) const {
    BatchEvent out{.kind = kind, .at = host_.clock.now(), .job = job};
    if (job) out.name = jobs_[*job].name;
    out.counts = counts();
    out.window = throttle_.window();
    return out;
}

void BatchDriver::warn(std::string text) {
    auto warning = event(BatchEvent::Kind::warning);
    warning.text = harmless_line(text);
    tell(std::move(warning));
}

}  // namespace vmette::scheduler
