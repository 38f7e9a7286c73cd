#include "scheduler/explain.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "scheduler/needs.h"

namespace vmette::scheduler {
namespace {

using Cause = CacheDecision::Cause;
using store::JobState;

Failure no_such_job(const store::BatchRecord& batch, const std::vector<store::JobRecord>& jobs, std::string_view name) {
    std::vector<std::string_view> names;
    names.reserve(jobs.size());
    for (const auto& job : jobs) names.push_back(job.name);
    auto nearest = nearest_name(name, names);
    return fail(ErrorCode::not_found, "batch {} has no job {}{}", batch.id, harmless_line(name, 80),
                nearest ? fmt::format(" (did you mean {}?)", *nearest) : "");
}

/// What it needs and has not got.
std::vector<Awaited> awaited(const store::BatchRecord& batch, const std::vector<store::JobRecord>& jobs,
                             const store::JobRecord& job) {
    std::vector<Awaited> out;
    auto add = [&](const store::JobRecord& one) {
        if (one.state != JobState::succeeded) out.push_back({one.name, one.state});
    };
    auto groups = static_cast<std::uint32_t>(batch.groups.size());
    for (const auto& need : parse_needs(job.needs, static_cast<std::uint32_t>(jobs.size()), groups)) {
        if (!need.group) {
            add(jobs[need.index]);
            continue;
        }
        for (const auto& one : jobs)
            if (one.group == need.index) add(one);
    }
    return out;
}

std::string why_pending(const store::BatchRecord& batch, const JobExplanation& known) {
    if (!known.awaits.empty()) return "it waits for jobs that it needs";
    bool driven = batch.status == store::BatchStatus::running && batch.owner.pid > 0 && is_alive(batch.owner);
    if (!driven) return "nobody drives the batch: `vmette batch resume` goes on with it";
    if (known.job.not_before)
        return fmt::format("its last try failed, and the next is not before {}", format_rfc3339(*known.job.not_before));
    if (known.job.attempts > 0) return "it waits for room in the pool, for its next try";
    return "it waits for room in the pool";
}

std::string why_run(const JobExplanation& known) {
    const auto& job = known.job;
    if (!job.cache) return "it ran because it does not say cache = true: no stored success was looked for";
    if (!known.decision) return "it ran; why no stored success would do was not written down";
    const auto& decision = *known.decision;
    switch (decision.cause) {
        case Cause::first:
            return "it ran because no success of equal inputs is stored, nor one of a job like it";
        case Cause::changed:
            return "it ran because its inputs were not those of the nearest stored success";
        case Cause::gone:
            return fmt::format("it ran because run {}, which would have done, is not whole: {}", decision.run_id,
                               decision.note);
        case Cause::untold:
            return fmt::format("it ran because what it is given cannot be told: {}", decision.note);
        case Cause::bypassed:
            return "it ran because --no-cache was given";
    }
    return {};
}

std::string why(const store::BatchRecord& batch, const JobExplanation& known) {
    const auto& job = known.job;
    switch (job.state) {
        case JobState::pending:
            return why_pending(batch, known);
        case JobState::skipped:
        case JobState::cancelled: {
            std::string text = fmt::format("it was {}", to_string(job.state));
            return job.detail.empty() ? text : fmt::format("{}: {}", text, job.detail);
        }
        case JobState::running:
        case JobState::succeeded:
        case JobState::failed:
        case JobState::unknown:
            break;
    }
    if (job.reused) return fmt::format("it did not run: the result of run {} was reused", job.run_id);
    return why_run(known);
}

}  // namespace

Result<JobExplanation> explain_job(store::Store& store, const store::BatchRecord& batch, std::string_view name) {
    store::Batches batches(store);
    VMETTE_TRY(auto jobs, batches.jobs(batch.id));
    for (std::uint32_t i = 0; i < jobs.size(); ++i)
        if (jobs[i].index != i) return fail(ErrorCode::io, "the queue of batch {} lacks job {}", batch.id, i);
    auto found = std::ranges::find(jobs, name, &store::JobRecord::name);
    if (found == jobs.end()) return no_such_job(batch, jobs, name);
    JobExplanation out{.job = *found};
    const auto& job = out.job;
    if (job.state == JobState::pending) out.awaits = awaited(batch, jobs, job);
    VMETTE_TRY(out.attempts, batches.attempts(batch.id, job.name));
    if (job.cache && !job.reused && job.attempts > 0) {
        VMETTE_TRY(auto text, batches.cache_decision(batch.id, job.index));
        if (!text.empty()) {
            auto decision = cache_decision_from_json(text);
            if (!decision) log(LogLevel::warn, "{}", decision.error().text());
            if (decision) out.decision = *std::move(decision);
        }
    }
    std::string compared = job.reused ? job.run_id : out.decision ? out.decision->run_id : "";
    if (!compared.empty()) {
        VMETTE_TRY(out.stored, store.get_run(compared));
    }
    out.why = why(batch, out);
    return out;
}

}  // namespace vmette::scheduler
