/// vmette batch ls, batch show: what became of batches and their jobs.

#include <set>

#include "base/text.h"
#include "cli/batch_text.h"
#include "cli/json_writer.h"
#include "cli/table.h"
#include "cli/times.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

constexpr std::int64_t kShownBatches = 50;
constexpr std::int64_t kMostBatches = 1'000'000;

/// From a batch's making to its end, or to now while it runs.
std::string whole_time(const store::BatchRecord& batch, WallTime now) {
    if (batch.finished_at) return short_duration(*batch.finished_at - batch.created_at);
    return shown_status(batch) == store::BatchStatus::running ? short_duration(now - batch.created_at) : "-";
}

class BatchLsCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.option("--limit", "N", limit_, "at most so many (default 50; 0: all)");
        arguments.flag("--names", names_, "print ids and names alone, one a line");
        arguments.flag("--json", json_, "print one array of documents");
    }

    Result<int> run(Context& context) override {
        std::int64_t limit = limit_.value_or(kShownBatches);
        if (limit < 0 || limit > kMostBatches)
            return fail(ErrorCode::bad_input, "--limit {}: 0 to {}", limit, kMostBatches);
        if (names_ && json_) return fail(ErrorCode::bad_input, "--names and --json exclude each other");
        // A shell asks for the names at each press of a key.
        VMETTE_TRY(store::Store * store, names_ ? context.store() : context.swept_store());
        store::Batches batches(*store);
        VMETTE_TRY(auto found, batches.list(static_cast<std::uint32_t>(limit)));
        if (names_) {
            VMETTE_CHECK_OK(context.console().write(names_of(found)));
            return 0;
        }
        std::vector<store::JobCounts> counts;
        for (const auto& batch : found) {
            VMETTE_TRY(auto of_batch, counts_of(batches, batch, context.clock().now()));
            counts.push_back(of_batch);
        }
        VMETTE_CHECK_OK(context.console().write(json_ ? documents(found, counts) : table(context, found, counts)));
        return 0;
    }

private:
    static Result<store::JobCounts> counts_of(store::Batches& batches, const store::BatchRecord& batch, WallTime now) {
        VMETTE_TRY(auto counts, batches.counts(batch.id));
        if (counts.running == 0 || shown_status(batch) != store::BatchStatus::interrupted) return counts;
        VMETTE_TRY(auto shown, shown_jobs(batches, batch, now));
        return shown.counts;
    }

    /// Ids in their order, then each name once.
    static std::string names_of(const std::vector<store::BatchRecord>& found) {
        std::string out;
        std::set<std::string> names;
        for (const auto& batch : found) {
            out += batch.id + "\n";
            names.insert(harmless_line(batch.name));
        }
        for (const auto& name : names) out += name + "\n";
        return out;
    }

    static std::string documents(const std::vector<store::BatchRecord>& found,
                                 const std::vector<store::JobCounts>& counts) {
        std::vector<std::string> out;
        for (std::size_t i = 0; i < found.size(); ++i) out.push_back(batch_json(found[i], counts[i]));
        return json_array(out) + "\n";
    }

    static std::string table(Context& context, const std::vector<store::BatchRecord>& found,
                             const std::vector<store::JobCounts>& counts) {
        auto now = context.clock().now();
        Table table({{"ID"},
                     {.heading = "NAME", .shrinks = true},
                     {"STATUS"},
                     {.heading = "AGE", .right = true},
                     {.heading = "TIME", .right = true},
                     {.heading = "JOBS", .shrinks = true}});
        for (std::size_t i = 0; i < found.size(); ++i) {
            const auto& batch = found[i];
            table.add({batch.id, harmless_line(batch.name), std::string(to_string(shown_status(batch))),
                       age(batch.created_at, now), whole_time(batch, now), counts_text(counts[i])});
        }
        constexpr std::size_t kStatusColumn = 2;
        const Console& console = context.console();
        return table.render(console.out_width(), [&](int row, std::size_t column, const std::string& text) {
            if (row < 0) return console.paint(Style::bold, text);
            if (column != kStatusColumn) return text;
            return console.paint(style_of(shown_status(found[static_cast<std::size_t>(row)])), text);
        });
    }

    std::optional<std::int64_t> limit_;
    bool names_ = false, json_ = false;
};

class BatchShowCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "the batch's id, a unique beginning of it, or its name");
        id.required = true;
        id.completes = Completes::batches;
        arguments.option("--state", "S", state_, "only jobs in this state").choices = {
            "pending", "running", "succeeded", "failed", "skipped", "cancelled", "unknown"};
        arguments.flag("--failed", failed_, "only jobs that failed, or whose outcome is unknown");
        arguments.flag("--manifest", manifest_, "print the manifest that the batch was made from");
        arguments.flag("--json", json_, "print one document with all jobs");
    }

    Result<int> run(Context& context) override {
        if (json_ && manifest_) return fail(ErrorCode::bad_input, "--json and --manifest exclude each other");
        std::optional<store::JobState> state;
        if (state_) {
            state = store::parse_job_state(*state_);
            if (!state) return fail(ErrorCode::bad_input, "--state: no job is ever {}", harmless_line(*state_));
        }
        VMETTE_TRY(store::Store * store, context.swept_store());
        store::Batches batches(*store);
        VMETTE_TRY(auto batch, batches.find(*id_));
        if (manifest_) {
            VMETTE_CHECK_OK(context.console().write(batch.manifest));
            return 0;
        }
        VMETTE_TRY(auto shown, shown_jobs(batches, batch, context.clock().now()));
        auto& [jobs, counts] = shown;
        using enum store::JobState;
        if (state) std::erase_if(jobs, [&](const auto& job) { return job.state != *state; });
        if (failed_) std::erase_if(jobs, [](const auto& job) { return job.state != failed && job.state != unknown; });
        VMETTE_CHECK_OK(
            context.console().write(json_ ? document(batch, counts, jobs) : sheet(context, batch, counts, jobs)));
        return 0;
    }

private:
    static std::string document(const store::BatchRecord& batch, const store::JobCounts& counts,
                                const std::vector<store::JobRecord>& jobs) {
        std::vector<std::string> documents;
        for (const auto& job : jobs) documents.push_back(job_json(batch, job));
        std::string head = batch_json(batch, counts);
        head.pop_back();
        return head + ",\"jobs\":" + json_array(documents) + "}\n";
    }

    static std::string sheet(Context& context, const store::BatchRecord& batch, const store::JobCounts& counts,
                             const std::vector<store::JobRecord>& jobs) {
        const Console& console = context.console();
        auto now = context.clock().now();
        auto status = shown_status(batch);
        std::string text = fmt::format(
            "{}  {}  {}\n{}; begun {} ago\n", batch.id, console.paint(Style::bold, harmless_line(batch.name)),
            console.paint(style_of(status), to_string(status)), counts_text(counts), age(batch.created_at, now));
        if (status == store::BatchStatus::interrupted)
            text += fmt::format("go on with it: vmette batch resume {}\n", batch.id);
        Table table({{.heading = "JOB", .shrinks = true},
                     {"STATE"},
                     {.heading = "TRIES", .right = true},
                     {"REASON"},
                     {.heading = "EXIT", .right = true},
                     {.heading = "TIME", .right = true},
                     {"RUN"},
                     {.heading = "", .shrinks = true}});
        for (const auto& job : jobs)
            table.add({harmless_line(job.name), std::string(to_string(job.state)), fmt::to_string(job.attempts),
                       job.reason.empty() ? "-" : harmless_line(job.reason),
                       job.exit_code ? fmt::to_string(*job.exit_code) : "-", time_of(job, now),
                       job.run_id.empty() ? "-" : job.run_id, job.reused ? "reused" : harmless_line(job.detail)});
        constexpr std::size_t kStateColumn = 1;
        return text + "\n" +
               table.render(console.out_width(), [&](int row, std::size_t column, const std::string& cell) {
                   if (row < 0) return console.paint(Style::bold, cell);
                   if (column != kStateColumn) return cell;
                   return console.paint(style_of(jobs[static_cast<std::size_t>(row)].state), cell);
               });
    }

    std::optional<std::string> id_, state_;
    bool failed_ = false, manifest_ = false, json_ = false;
};

}  // namespace

const Verb kBatchLsVerb{
    .name = "batch ls",
    .summary = "list batches, newest first",
    .example = "vmette batch ls",
    .exit_codes = "0  listed\n2  wrong usage",
    .make = make_command<BatchLsCommand>,
};

const Verb kBatchShowVerb{
    .name = "batch show",
    .summary = "show a batch and its jobs",
    .example = "vmette batch show eval-0412 --state failed",
    .exit_codes = "0  shown\n1  there is no such batch\n2  wrong usage, or several batches fit",
    .make = make_command<BatchShowCommand>,
};

}  // namespace vmette::cli
