#include "cli/batch_text.h"

#include "base/process.h"
#include "cli/json_writer.h"
#include "cli/times.h"
#include "scheduler/batch_recall.h"

namespace vmette::cli {
namespace {

std::string time_or_null(const std::optional<WallTime>& time) {
    return time ? json_string(format_rfc3339(*time)) : "null";
}

}  // namespace

store::BatchStatus shown_status(const store::BatchRecord& batch) {
    bool driven = batch.owner.pid > 0 && is_alive(batch.owner);
    return batch.status == store::BatchStatus::running && !driven ? store::BatchStatus::interrupted : batch.status;
}

Result<ShownJobs> shown_jobs(store::Batches& batches, const store::BatchRecord& batch, WallTime now) {
    ShownJobs shown;
    VMETTE_TRY(shown.jobs, batches.jobs(batch.id));
    if (shown_status(batch) == store::BatchStatus::interrupted) {
        VMETTE_TRY(auto attempts, batches.attempts(batch.id));
        auto no_jitter = [] { return 0.0; };
        scheduler::apply_recalled(shown.jobs, scheduler::recall(shown.jobs, attempts, now, no_jitter));
    }
    for (const auto& job : shown.jobs) ++shown.counts.of(job.state);
    return shown;
}

std::uint32_t settled_jobs(const store::JobCounts& counts) {
    return counts.succeeded + counts.failed + counts.skipped + counts.cancelled + counts.unknown;
}

std::uint32_t all_jobs(const store::JobCounts& counts) {
    return settled_jobs(counts) + counts.pending + counts.running;
}

std::string counts_text(const store::JobCounts& counts) {
    std::string text = fmt::format("{} of {} done", settled_jobs(counts), all_jobs(counts));
    auto add = [&text](std::uint32_t count, std::string_view what) {
        if (count > 0) text += fmt::format(", {} {}", count, what);
    };
    add(counts.succeeded, "ok");
    add(counts.failed, "failed");
    add(counts.unknown, "unknown");
    add(counts.skipped, "skipped");
    add(counts.cancelled, "cancelled");
    add(counts.running, "running");
    add(counts.pending, "waiting");
    return text;
}

std::string counts_json(const store::JobCounts& counts) {
    return JsonObject()
        .number("pending", counts.pending)
        .number("running", counts.running)
        .number("succeeded", counts.succeeded)
        .number("failed", counts.failed)
        .number("skipped", counts.skipped)
        .number("cancelled", counts.cancelled)
        .number("unknown", counts.unknown)
        .render(false);
}

std::string batch_json(const store::BatchRecord& batch, const store::JobCounts& counts) {
    return JsonObject()
        .text("id", batch.id)
        .text("name", batch.name)
        .text("status", to_string(shown_status(batch)))
        .text("created_at", format_rfc3339(batch.created_at))
        .raw("finished_at", time_or_null(batch.finished_at))
        .text("file", batch.file)
        .text("manifest_digest", batch.manifest_digest)
        .text_or_null("results", batch.results)
        .number("jobs_total", batch.jobs)
        .raw("counts", counts_json(counts))
        .render(false);
}

std::string job_json(const store::BatchRecord& batch, const store::JobRecord& job) {
    return JsonObject()
        .number("index", job.index)
        .text("name", job.name)
        .text("group", job.group < batch.groups.size() ? batch.groups[job.group] : "")
        .raw("priority", fmt::to_string(job.priority))
        .text("state", to_string(job.state))
        .number("attempts", job.attempts)
        .text_or_null("reason", job.reason)
        .raw("exit_code", job.exit_code ? fmt::to_string(*job.exit_code) : "null")
        .text_or_null("run_id", job.run_id)
        .boolean("reused", job.reused)
        .text_or_null("message", job.detail)
        .raw("started_at", time_or_null(job.started_at))
        .raw("finished_at", time_or_null(job.finished_at))
        .raw("not_before", time_or_null(job.not_before))
        .render(false);
}

Style style_of(store::BatchStatus status) {
    switch (status) {
        case store::BatchStatus::running:
            return Style::bold;
        case store::BatchStatus::succeeded:
            return Style::green;
        case store::BatchStatus::failed:
            return Style::red;
        case store::BatchStatus::interrupted:
        case store::BatchStatus::cancelled:
            return Style::yellow;
    }
    return Style::plain;
}

Style style_of(store::JobState state) {
    switch (state) {
        case store::JobState::running:
            return Style::bold;
        case store::JobState::succeeded:
            return Style::green;
        case store::JobState::failed:
        case store::JobState::unknown:
            return Style::red;
        case store::JobState::skipped:
        case store::JobState::cancelled:
            return Style::yellow;
        case store::JobState::pending:
            return Style::plain;
    }
    return Style::plain;
}

std::string time_of(const store::JobRecord& job, WallTime now) {
    if (!job.started_at) return "-";
    return short_duration(std::max(job.finished_at.value_or(now) - *job.started_at, Duration(0)));
}

}  // namespace vmette::cli
