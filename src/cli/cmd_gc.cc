/// vmette gc: what dead runs left.

#include <algorithm>
#include <iterator>

#include "base/text.h"
#include "base/units.h"
#include "cli/json_writer.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

class GcCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.flag("-n,--dry-run", dry_run_, "say what there is, remove nothing");
        arguments.flag("--json", json_, "print one array");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.store());
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto leftovers, scheduler::sweep(*layout, *store, dry_run_));
        VMETTE_TRY(auto forgotten, scheduler::sweep_forgotten_logs(*layout, *store, context.clock().now(), dry_run_));
        std::ranges::move(forgotten, std::back_inserter(leftovers));
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(leftovers) : as_text(leftovers)));
        if (!json_ && leftovers.empty()) context.console().note("nothing is left over");
        bool all_gone =
            std::all_of(leftovers.begin(), leftovers.end(), [](const auto& one) { return one.problem.empty(); });
        return all_gone ? 0 : 1;
    }

private:
    std::string as_json(const std::vector<scheduler::Leftover>& leftovers) const {
        std::vector<std::string> documents;
        documents.reserve(leftovers.size());
        for (const auto& one : leftovers) {
            documents.push_back(JsonObject()
                                    .text_or_null("run", one.run_id)
                                    .text("what", one.what)
                                    .text("path", one.path)
                                    .number("bytes", one.bytes)
                                    .boolean("removed", !dry_run_ && one.problem.empty())
                                    .text_or_null("problem", one.problem)
                                    .render());
        }
        return json_array(documents) + "\n";
    }

    std::string as_text(const std::vector<scheduler::Leftover>& leftovers) const {
        std::string out;
        std::uint64_t bytes = 0;
        for (const auto& one : leftovers) {
            std::string_view verb = !one.problem.empty() ? "could not remove" : dry_run_ ? "would remove" : "removed";
            out += fmt::format("{} {} {} ({})", verb, harmless_line(one.what), harmless_line(one.path),
                               human_size(one.bytes));
            if (!one.run_id.empty()) out += fmt::format(" of run {}", harmless_line(one.run_id));
            if (!one.problem.empty()) out += fmt::format(": {}", harmless_line(one.problem));
            out += "\n";
            if (one.problem.empty()) bytes += one.bytes;
        }
        if (!leftovers.empty()) out += fmt::format("{} in all\n", human_size(bytes));
        return out;
    }

    bool dry_run_ = false, json_ = false;
};

}  // namespace

const Verb kGcVerb{
    .name = "gc",
    .summary = "sweep what a crash of the host could leave",
    .description =
        "Every verb that starts something, and `history`, does the same first. Here each thing is named. And logs go\n"
        "that are older than 30 days, of runs that the history does not know: it was damaged, or removed.",
    .example = "vmette gc --dry-run",
    .exit_codes = "0  swept, or nothing was there\n1  something could not be removed\n2  wrong usage",
    .make = make_command<GcCommand>,
};

}  // namespace vmette::cli
