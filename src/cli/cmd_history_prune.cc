/// vmette history prune: the history within bounds.

#include "base/text.h"
#include "base/units.h"
#include "cli/json_writer.h"
#include "cli/run_filter_flags.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "scheduler/history_prune.h"

namespace vmette::cli {
namespace {

class HistoryPruneCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.option("--keep-last,--keep", "N", keep_, "all but the newest N of those selected");
        arguments.option("--older-than", "AGE", age_, "those made longer ago: 30d, 12w, or before a date");
        arguments.option("--max-size", "SIZE", size_,
                         "the oldest, until logs and artifacts of the rest are no larger: 10G");
        arguments.flag("-n,--dry-run", dry_run_, "say what would go, remove nothing");
        filter_.define(arguments);
        arguments.flag("--json", json_, "print one object");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto bounds, bounds_from_flags(context.clock().now()));
        VMETTE_TRY(auto filter, filter_.filter(context));
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto pruned, scheduler::prune_history(*layout, *store, filter, bounds, dry_run_));
        for (const auto& problem : pruned.problems) context.console().warning(problem);
        if (json_) {
            VMETTE_CHECK_OK(context.console().write(as_json(pruned)));
        } else {
            context.console().note(fmt::format("{} {} run{}, {} of logs and artifacts",
                                               dry_run_ ? "would remove" : "removed", pruned.runs.size(),
                                               pruned.runs.size() == 1 ? "" : "s", human_size(pruned.bytes)));
        }
        return pruned.problems.empty() ? 0 : 1;
    }

private:
    Result<scheduler::HistoryBounds> bounds_from_flags(WallTime now) const {
        if (!keep_ && !age_ && !size_)
            return fail(ErrorCode::bad_input, "say what is to go: --keep-last N, --older-than AGE or --max-size SIZE");
        scheduler::HistoryBounds bounds;
        if (keep_ && *keep_ < 0) return fail(ErrorCode::bad_input, "--keep-last {}: 0 or more", *keep_);
        if (keep_) bounds.keep = static_cast<std::uint64_t>(*keep_);
        if (age_) {
            VMETTE_TRY(bounds.older_than, parse_when(*age_, now));
        }
        if (size_) {
            VMETTE_TRY(bounds.max_bytes, parse_size(*size_));
        }
        return bounds;
    }

    std::string as_json(const scheduler::PrunedRuns& pruned) const {
        std::vector<std::string> runs;
        runs.reserve(pruned.runs.size());
        for (const auto& run : pruned.runs)
            runs.push_back(
                JsonObject().text("id", run.id).text("created_at", format_rfc3339(run.created_at)).render(false));
        return JsonObject()
                   .boolean("dry_run", dry_run_)
                   .raw("removed", json_array(runs))
                   .number("bytes", pruned.bytes)
                   .texts("problems", pruned.problems)
                   .render() +
               "\n";
    }

    std::optional<std::int64_t> keep_;
    std::optional<std::string> age_, size_;
    RunFilterFlags filter_;
    bool dry_run_ = false, json_ = false;
};

}  // namespace

const Verb kHistoryPruneVerb{
    .name = "history prune",
    .summary = "forget old runs with their logs and artifacts",
    .description =
        "What one of the bounds names goes, among the runs that the filters select (without filters: all). Runs that\n"
        "are not over stay, and so do those of a batch that runs or can be resumed. A bare --max-size is in MiB.",
    .example = "vmette history prune --older-than 30d --max-size 10G --dry-run",
    .exit_codes = "0  pruned, even when nothing fits\n1  something could not be removed\n2  wrong usage",
    .make = make_command<HistoryPruneCommand>,
};

}  // namespace vmette::cli
