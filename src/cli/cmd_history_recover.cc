/// vmette history recover: what can be read of a damaged history.

#include "cli/json_writer.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "scheduler/history_recovery.h"

namespace vmette::cli {
namespace {

std::string counted(std::uint64_t count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

class HistoryRecoverCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.flag("-n,--dry-run", dry_run_, "say what would be saved, change nothing");
        arguments.flag("--json", json_, "print one object");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(const Layout* layout, context.layout());
        auto recovered = [&] {
            ProgressLine line(context.console(), context.clock());
            line.show("reading the history");
            return scheduler::recover_history(*layout, context.clock(), dry_run_);
        }();
        if (!recovered) return Failure(recovered.error());
        if (json_) {
            VMETTE_CHECK_OK(context.console().write(as_json(*recovered)));
            return 0;
        }
        context.console().note(as_text(*recovered));
        return 0;
    }

private:
    std::string as_text(const scheduler::Recovered& result) const {
        if (result.was_sound) return "the history is sound: there is nothing to recover";
        const auto& saved = result.saved;
        std::string text = fmt::format("{} {} and {}", dry_run_ ? "could save" : "saved", counted(saved.runs, "run"),
                                       counted(saved.other_rows, "other row"));
        if (saved.gaps > 0) text += fmt::format("; {} could not be read", counted(saved.gaps, "place"));
        if (saved.refused > 0)
            text += fmt::format("; {} made no sense and stayed behind", counted(saved.refused, "row"));
        if (!result.kept_as.empty()) text += fmt::format("; the damaged file is {}", result.kept_as.string());
        return text;
    }

    std::string as_json(const scheduler::Recovered& result) const {
        return JsonObject()
                   .boolean("dry_run", dry_run_)
                   .boolean("was_sound", result.was_sound)
                   .number("runs", result.saved.runs)
                   .number("other_rows", result.saved.other_rows)
                   .number("gaps", result.saved.gaps)
                   .number("refused", result.saved.refused)
                   .text_or_null("kept_as", result.kept_as.string())
                   .render() +
               "\n";
    }

    bool dry_run_ = false, json_ = false;
};

}  // namespace

const Verb kHistoryRecoverVerb{
    .name = "history recover",
    .summary = "save what can be read of a damaged history",
    .description =
        "Every row that can still be read goes into a new history, which takes the place of the damaged one; that is\n"
        "kept beside it. A sound history is left alone. Logs and artifacts are files of their own and stay.",
    .example = "vmette history recover --dry-run",
    .exit_codes =
        "0  saved, or there was nothing to do\n1  nothing can be read, or runs are still going\n2  wrong usage",
    .make = make_command<HistoryRecoverCommand>,
};

}  // namespace vmette::cli
