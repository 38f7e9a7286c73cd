/// vmette batch explain: why a job ran, or has not, or did not have to.

#include "base/text.h"
#include "cli/batch_text.h"
#include "cli/json_writer.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "scheduler/explain.h"

namespace vmette::cli {
namespace {

using scheduler::CacheDecision;
using scheduler::JobExplanation;

/// Of the jobs that one waits for.
constexpr std::size_t kAwaitedShown = 20;
/// Digits of a digest that people compare.
constexpr std::size_t kDigestShown = 12;

/// A value short enough for a line: "sha256:608f7623adf5…".
std::string short_value(std::string_view value) {
    if (value.empty()) return "(none)";
    for (std::string_view kind : {"sha256:", "hmac:"})
        if (value.starts_with(kind) && value.size() > kind.size() + kDigestShown)
            return fmt::format("{}…", value.substr(0, kind.size() + kDigestShown));
    return harmless_line(value, 100);
}

std::string duration_text(const store::RunRecord& run, WallTime now) {
    return short_duration(std::max(run.finished_at.value_or(now) - run.created_at, Duration(0)));
}

/// "run 01… (job a of batch 01…, 2m ago)"
std::string run_text(const std::string& run_id, const std::optional<store::RunRecord>& run, WallTime now) {
    if (!run) return fmt::format("run {} (which the history does not have any more)", run_id);
    return fmt::format("run {} (job {} of batch {}, {} ago)", run_id, harmless_line(run->job), run->batch,
                       age(run->finished_at.value_or(run->created_at), now));
}

std::string changes_text(const CacheDecision& decision) {
    std::string text;
    for (const auto& [input, files] : decision.changes) {
        text += fmt::format("  {}  {} -> {}\n", harmless_line(input.name), short_value(input.before),
                            short_value(input.after));
        for (const auto& file : files.first) text += fmt::format("      {}\n", harmless_line(file));
        if (files.count > files.first.size())
            text += fmt::format("      and {} files more\n", files.count - files.first.size());
    }
    if (decision.more_changes > 0) text += fmt::format("  and {} inputs more\n", decision.more_changes);
    return text;
}

/// What became of its own result.
std::string keeping_text(const JobExplanation& known) {
    const auto& job = known.job;
    if (!job.cache || job.reused || !known.decision) return {};
    if (!known.decision->not_kept.empty())
        return fmt::format("its result was not stored: {}\n", harmless_line(known.decision->not_kept));
    if (job.state == store::JobState::succeeded) return "its result was stored\n";
    if (job.state == store::JobState::failed) return "a failure is never stored\n";
    return {};
}

std::string awaited_text(const std::vector<scheduler::Awaited>& awaits) {
    std::string text;
    for (std::size_t i = 0; i < awaits.size() && i < kAwaitedShown; ++i)
        text += fmt::format("  {}  {}\n", harmless_line(awaits[i].name), to_string(awaits[i].state));
    if (awaits.size() > kAwaitedShown) text += fmt::format("  and {} more\n", awaits.size() - kAwaitedShown);
    return text;
}

std::string attempts_text(const JobExplanation& known, WallTime now) {
    std::string text;
    for (const auto& run : known.attempts) {
        std::string end(run.reason.empty() ? to_string(run.status) : std::string_view(run.reason));
        if (run.exit_code) end += fmt::format(" {}", *run.exit_code);
        text += fmt::format("attempt {}  run {}  {}  {}{}{}\n", run.attempt, run.id, harmless_line(end),
                            duration_text(run, now), run.error.empty() ? "" : "  ", harmless_line(run.error));
    }
    return text;
}

std::string sheet(const Console& console, const store::BatchRecord& batch, const JobExplanation& known, WallTime now) {
    const auto& job = known.job;
    std::string text =
        fmt::format("{}  {}  of batch {} ({})\n", console.paint(Style::bold, harmless_line(job.name)),
                    console.paint(style_of(job.state), to_string(job.state)), batch.id, harmless_line(batch.name));
    text += harmless_line(known.why, 1000);
    bool compared = known.decision && known.decision->cause == CacheDecision::Cause::changed;
    text += job.reused || compared ? ":\n" : "\n";
    if (job.reused || compared)
        text += fmt::format("  {}\n", run_text(job.reused ? job.run_id : known.decision->run_id, known.stored, now));
    text += awaited_text(known.awaits);
    if (known.decision) text += changes_text(*known.decision);
    return text + attempts_text(known, now) + keeping_text(known);
}

std::string attempt_json(const store::RunRecord& run) {
    return JsonObject()
        .number("attempt", run.attempt)
        .text("run_id", run.id)
        .text("status", to_string(run.status))
        .text_or_null("reason", run.reason)
        .raw("exit_code", run.exit_code ? fmt::to_string(*run.exit_code) : "null")
        .text("created_at", format_rfc3339(run.created_at))
        .raw("finished_at", run.finished_at ? json_string(format_rfc3339(*run.finished_at)) : "null")
        .text_or_null("error", run.error)
        .render(false);
}

std::string stored_json(const store::RunRecord& run) {
    return JsonObject()
        .text("run_id", run.id)
        .text_or_null("batch", run.batch)
        .text_or_null("job", run.job)
        .raw("finished_at", run.finished_at ? json_string(format_rfc3339(*run.finished_at)) : "null")
        .render(false);
}

std::string document(const store::BatchRecord& batch, const JobExplanation& known) {
    std::vector<std::string> awaits, attempts;
    for (const auto& one : known.awaits)
        awaits.push_back(JsonObject().text("job", one.name).text("state", to_string(one.state)).render(false));
    for (const auto& run : known.attempts) attempts.push_back(attempt_json(run));
    std::string head = job_json(batch, known.job);
    head.pop_back();
    return fmt::format(
        "{},\"batch\":{},\"cache\":{},\"why\":{},\"awaits\":{},\"attempt_runs\":{},\"decision\":{},"
        "\"stored\":{}}}\n",
        head, json_string(batch.id), known.job.cache, json_string(known.why), json_array(awaits), json_array(attempts),
        known.decision ? scheduler::to_json(*known.decision) : "null",
        known.stored ? stored_json(*known.stored) : "null");
}

class BatchExplainCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "the batch's id, a unique beginning of it, or its name");
        id.required = true;
        id.completes = Completes::batches;
        arguments.operand("JOB", job_, "the job's name").required = true;
        arguments.flag("--json", json_, "print one document");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto batch, store::Batches(*store).find(*id_));
        VMETTE_TRY(auto known, scheduler::explain_job(*store, batch, *job_));
        VMETTE_CHECK_OK(context.console().write(json_ ? document(batch, known)
                                                      : sheet(context.console(), batch, known, context.clock().now())));
        return 0;
    }

private:
    std::optional<std::string> id_, job_;
    bool json_ = false;
};

}  // namespace

const Verb kBatchExplainVerb{
    .name = "batch explain",
    .summary = "say why a job ran, waits, or took the result of an earlier run",
    .description =
        "For a job with cache = true: which stored success was reused, or what differs from the nearest one: the\n"
        "inputs by name, and in shared folders the files.",
    .example = "vmette batch explain eval-0412 lint",
    .exit_codes = "0  explained\n1  there is no such batch or job\n2  wrong usage, or several batches fit",
    .make = make_command<BatchExplainCommand>,
};

}  // namespace vmette::cli
