/// vmette doctor: what this host can do.

#include <algorithm>

#include "base/text.h"
#include "cli/json_writer.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "scheduler/history_recovery.h"
#include "scheduler/host.h"

namespace vmette::cli {
namespace {

using State = scheduler::HostCheck::State;

std::string_view state_name(State state) {
    switch (state) {
        case State::ok:
            return "ok";
        case State::degraded:
            return "degraded";
        case State::missing:
            return "missing";
    }
    return "";
}

Style state_style(State state) {
    switch (state) {
        case State::ok:
            return Style::green;
        case State::degraded:
            return Style::yellow;
        case State::missing:
            return Style::red;
    }
    return Style::plain;
}

std::string as_json(const scheduler::HostReport& report) {
    std::vector<std::string> checks;
    checks.reserve(report.checks.size());
    for (const auto& check : report.checks) {
        checks.push_back(JsonObject()
                             .text("name", check.name)
                             .text("state", state_name(check.state))
                             .text("detail", check.detail)
                             .text_or_null("advice", check.advice)
                             .render());
    }
    return JsonObject()
               .boolean("can_run", report.can_run)
               .text_or_null("accel", report.accel)
               .raw("checks", json_array(checks))
               .render() +
           "\n";
}

std::string as_text(const scheduler::HostReport& report, const Console& console) {
    std::string out;
    std::size_t widest = 0;
    for (const auto& check : report.checks) widest = std::max(widest, check.name.size());
    for (const auto& check : report.checks) {
        std::string state = fmt::format("{:<8}", state_name(check.state));
        out += fmt::format("{}  {:<{}}  {}\n", console.paint(state_style(check.state), state), check.name, widest,
                           harmless_line(check.detail));
        if (!check.advice.empty())
            out += fmt::format("{:10}{:{}}  -> {}\n", "", "", widest, harmless_line(check.advice));
    }
    if (report.can_run)
        out += fmt::format("\nSandboxes can run here, with {}.\n", report.accel);
    else
        out += "\nSandboxes cannot run here: see what is missing above.\n";
    return out;
}

class DoctorCommand final : public Command {
public:
    void define(Arguments& arguments) override { arguments.flag("--json", json_, "print one document"); }

    Result<int> run(Context& context) override {
        VMETTE_TRY(const Layout* layout, context.layout());
        auto opened = context.swept_store();
        // Without a history there is still a host to look at: what is learned of it goes to a passing one.
        std::optional<TempDir> passing;
        std::optional<store::Store> in_passing;
        if (!opened) {
            VMETTE_TRY(passing, TempDir::make());
            VMETTE_TRY(in_passing, store::Store::open(passing->path() / "vmette.db", context.clock()));
        }
        auto report = [&] {
            ProgressLine line(context.console(), context.clock());
            line.show("reading the history");
            auto database = scheduler::examine_history(*layout, opened);
            return scheduler::examine_host(*layout, opened ? **opened : *in_passing, std::move(database),
                                           [&](std::string_view step) { line.show(step); });
        }();
        if (!report) return Failure(report.error());
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(*report) : as_text(*report, context.console())));
        return report->can_run ? 0 : 1;
    }

private:
    bool json_ = false;
};

}  // namespace

const Verb kDoctorVerb{
    .name = "doctor",
    .summary = "say what this host can do, and what to do about each lack",
    .description = "Boots probe guests to find the accelerator that works: that takes some seconds.",
    .example = "vmette doctor",
    .exit_codes = "0  sandboxes can run here\n1  they cannot\n2  wrong usage",
    .make = make_command<DoctorCommand>,
};

}  // namespace vmette::cli
