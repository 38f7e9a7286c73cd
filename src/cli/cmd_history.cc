/// vmette history: what ran, newest first.

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cli/plot.h"
#include "cli/run_filter_flags.h"
#include "cli/table.h"
#include "cli/times.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

/// Enough of an id to be unique among runs that one person starts: its ten digits of time and 20 random bits.
constexpr std::size_t kShownIdLength = 14;
constexpr std::uint32_t kPlotted = 1000;

/// Of the whole run, as `duration_ms` has it; so far, while it goes on.
std::string duration_of(const store::RunRecord& run, WallTime now) {
    return short_duration(std::max(run.finished_at.value_or(now) - run.created_at, Duration(0)));
}

Style style_of(store::RunStatus status) {
    switch (status) {
        case store::RunStatus::running:
            return Style::bold;
        case store::RunStatus::succeeded:
            return Style::green;
        case store::RunStatus::failed:
            return Style::red;
        case store::RunStatus::stopped:
            return Style::yellow;
        case store::RunStatus::lost:
            return Style::red;
    }
    return Style::plain;
}

std::string render_table(const std::vector<store::RunRecord>& runs, const Console& console, WallTime now) {
    Table table({{"ID"},
                 {.heading = "NAME", .shrinks = true},
                 {"STATUS"},
                 {"REASON"},
                 {.heading = "EXIT", .right = true},
                 {.heading = "AGE", .right = true},
                 {.heading = "TIME", .right = true},
                 {.heading = "IMAGE", .shrinks = true}});
    for (const auto& run : runs) {
        table.add({run.id.substr(0, kShownIdLength), harmless_line(run.name), std::string(to_string(run.status)),
                   run.reason.empty() ? "-" : harmless_line(run.reason),
                   run.exit_code ? fmt::to_string(*run.exit_code) : "-", age(run.created_at, now),
                   duration_of(run, now), harmless_line(run.image_source)});
    }
    constexpr std::size_t kStatusColumn = 2;
    return table.render(console.out_width(), [&](int row, std::size_t column, const std::string& text) {
        if (row < 0) return console.paint(Style::bold, text);
        if (column == kStatusColumn) return console.paint(style_of(runs[static_cast<std::size_t>(row)].status), text);
        return text;
    });
}

/// Ids in their order, then each name once.
std::string names_of(const std::vector<store::RunRecord>& runs) {
    std::string out;
    std::set<std::string> names;
    for (const auto& run : runs) {
        out += run.id.substr(0, kShownIdLength) + "\n";
        if (!run.name.empty()) names.insert(harmless_line(run.name));
    }
    for (const auto& name : names) out += name + "\n";
    return out;
}

std::string plot_of(const std::vector<store::RunRecord>& runs, const Console& console) {
    std::vector<PlotPoint> points;
    for (const auto& run : runs)
        if (run.finished_at)
            points.push_back({run.created_at, static_cast<double>((*run.finished_at - run.created_at).count()),
                              run.status == store::RunStatus::failed || run.status == store::RunStatus::lost});
    PlotSize size;
    if (console.out_width() != 0) size.columns = console.out_width();
    return plot_durations(points, size, [&](const std::string& text) { return console.paint(Style::red, text); });
}

class HistoryCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        filter_.define(arguments);
        filter_.define_order(arguments, "at most so many (default 50; 0: all)");
        arguments.flag("--json", json_, "print one array of documents");
        arguments.flag("--jsonl", jsonl_, "print one document a line");
        arguments.flag("--names", names_, "print the beginnings of ids, and the names, one a line");
        arguments.flag("--plot", plot_,
                       "draw how long they took over time (of the newest 1000, unless --limit says else)");
    }

    Result<int> run(Context& context) override {
        if (json_ + jsonl_ + names_ + plot_ > 1)
            return fail(ErrorCode::bad_input, "--json and --jsonl exclude each other, and so do --names and --plot");
        VMETTE_TRY(auto filter, filter_.filter(context));
        if (plot_ && !filter_.has_limit()) filter.limit = kPlotted;
        // A shell asks for the names at each press of a key.
        VMETTE_TRY(store::Store * store, names_ ? context.store() : context.swept_store());
        VMETTE_TRY(auto runs, store->list_runs(filter));
        VMETTE_CHECK_OK(context.console().write(render(runs, context)));
        return 0;
    }

private:
    std::string render(const std::vector<store::RunRecord>& runs, Context& context) const;

    RunFilterFlags filter_;
    bool json_ = false, jsonl_ = false, names_ = false, plot_ = false;
};

std::string HistoryCommand::render(const std::vector<store::RunRecord>& runs, Context& context) const {
    std::string out;
    if (jsonl_) {
        for (const auto& run : runs) out += store::to_json(run, -1) + "\n";
        return out;
    }
    if (json_) {
        for (const auto& run : runs) out += (out.empty() ? "" : ",\n") + store::to_json(run);
        return out.empty() ? "[]\n" : "[\n" + out + "\n]\n";
    }
    if (names_) return names_of(runs);
    if (runs.empty()) {
        context.console().note("no runs");
        return out;
    }
    if (plot_) return plot_of(runs, context.console());
    return render_table(runs, context.console(), context.clock().now());
}

}  // namespace

const Verb kHistoryVerb{
    .name = "history",
    .summary = "list past runs, newest first",
    .description =
        "All filters that are given must hold. AGE is since the run was made, TIME how long it took (duration_ms).\n"
        "--sort takes every field of a run's document; \"-\" before one puts the largest first, \"+\" the smallest.\n"
        "--where compares such fields: =, !=, <, <=, >, >=, in (...), like, glob, with and, or, not and parentheses.\n"
        "Values are numbers, \"texts\", durations (30s, 7d), sizes (512M, 1.5G), times (\"2025-01-31\", now - 7d),\n"
        "true, false and null; labels.NAME is a label.",
    .example = "vmette history --since 7d --where 'duration > 30s and labels.team = \"search\"' --sort=-peak_memory",
    .exit_codes = "0  listed, even when nothing fits\n1  the history cannot be read\n2  wrong usage",
    .make = make_command<HistoryCommand>,
};

}  // namespace vmette::cli
