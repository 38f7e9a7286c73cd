/// vmette ps: the runs that are live now.

#include "base/text.h"
#include "cli/json_writer.h"
#include "cli/table.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "scheduler/live/place.h"

namespace vmette::cli {
namespace {

class PsCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.flag("--json", json_, "print one JSON array");
        arguments.flag("--jsonl", jsonl_, "print one JSON object a line");
        arguments.flag("--ids", ids_, "print the ids alone");
    }

    Result<int> run(Context& context) override {
        if (int{json_} + int{jsonl_} + int{ids_} > 1)
            return fail(ErrorCode::bad_input, "--json, --jsonl and --ids exclude each other");
        VMETTE_TRY(store::Store * store, context.swept_store());
        store::RunFilter filter;
        filter.status = store::RunStatus::running;
        filter.limit = 0;
        VMETTE_TRY(auto runs, store->list_runs(filter));
        // Where the sweep could not write, on a full disk, a run that is gone is no live one all the same.
        std::erase_if(runs, [](const auto& run) { return !is_alive(run.owner); });
        Console& console = context.console();
        if (json_ || jsonl_ || ids_) {
            VMETTE_CHECK_OK(console.write(documents(context, runs)));
            return 0;
        }
        if (runs.empty()) {
            console.note("nothing runs");
            return 0;
        }
        VMETTE_CHECK_OK(console.write(table(context, runs)));
        return 0;
    }

private:
    static std::string_view state(const store::RunRecord& run) { return run.started_at ? "running" : "starting"; }

    std::string documents(Context& context, const std::vector<store::RunRecord>& runs) const {
        std::vector<std::string> lines;
        lines.reserve(runs.size());
        for (const auto& run : runs) lines.push_back(ids_ ? run.id : document(context, run));
        if (json_) return json_array(lines) + "\n";
        return lines.empty() ? "" : fmt::format("{}\n", fmt::join(lines, "\n"));
    }

    static std::string document(Context& context, const store::RunRecord& run) {
        auto layout = context.layout();
        JsonObject object;
        object.text("id", run.id).text("name", run.name).text_or_null("batch", run.batch).text_or_null("job", run.job);
        object.text("state", state(run)).text("created_at", format_rfc3339(run.created_at));
        object.text_or_null("started_at", run.started_at ? format_rfc3339(*run.started_at) : "");
        object.text("image", run.image_source).number("vcpus", run.vcpus).number("memory_mib", run.memory_mib);
        object.number("pid", static_cast<std::uint64_t>(run.owner.pid));
        object.boolean("reachable", layout && scheduler::live::has_socket(**layout, run.id));
        return object.render(false);
    }

    static std::string table(Context& context, const std::vector<store::RunRecord>& runs) {
        Table table(
            {{"ID"}, {"NAME", false, true}, {"STATE"}, {"AGE", true}, {"MEMORY", true}, {"IMAGE", false, true}});
        for (const auto& run : runs)
            table.add({run.id, harmless_line(run.name), std::string(state(run)),
                       age(run.created_at, context.clock().now()), human_size(run.memory_mib * kMiB),
                       harmless_line(run.image_source)});
        return table.render(context.console().out_width());
    }

    bool json_ = false, jsonl_ = false, ids_ = false;
};

}  // namespace

const Verb kPsVerb{
    .name = "ps",
    .summary = "list the runs that are live now",
    .description = "Foreground runs, detached ones and the jobs of batches, from any terminal of the same user.",
    .example = "vmette ps --json",
    .exit_codes = "0  listed\n1  the history cannot be read\n2  wrong usage",
    .make = make_command<PsCommand>,
};

}  // namespace vmette::cli
