/// vmette history: what ran, newest first.

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cli/table.h"
#include "cli/times.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

/// Enough of an id to be unique among runs that one person starts: its ten digits of time and 20 random bits.
constexpr std::size_t kShownIdLength = 14;

constexpr std::array<std::string_view, 6> kSortKeys{"created", "duration", "peak_memory", "boot", "name", "exit_code"};
constexpr std::array<std::string_view, 5> kStatuses{"running", "succeeded", "failed", "stopped", "lost"};
constexpr std::array<std::string_view, 12> kReasons{"exited",     "signaled", "timeout",     "idle",
                                                    "oom",        "vm-error", "setup-error", "image-error",
                                                    "exec-error", "stopped",  "lost",        "cancelled"};

Result<> check_name(std::string_view flag, const std::string& word, std::span<const std::string_view> known) {
    if (std::find(known.begin(), known.end(), word) != known.end()) return {};
    auto nearest = nearest_name(word, known);
    return fail(ErrorCode::bad_input, "{}: '{}' is none of {}{}", flag, harmless_line(word), fmt::join(known, ", "),
                nearest ? fmt::format(" (did you mean {}?)", *nearest) : "");
}

std::vector<std::string> split_commas(const std::vector<std::string>& texts) {
    std::vector<std::string> words;
    for (const auto& text : texts) {
        std::size_t start = 0;
        while (start <= text.size()) {
            std::size_t comma = std::min(text.find(',', start), text.size());
            words.push_back(text.substr(start, comma - start));
            start = comma + 1;
        }
    }
    return words;
}

/// From the command's start to the end of the run; a run that never got there has none.
std::string duration_of(const store::RunRecord& run, WallTime now) {
    if (!run.started_at) return "-";
    return short_duration(run.finished_at.value_or(now) - *run.started_at);
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

class HistoryCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.option("--since", "WHEN", since_, "runs made after: 12h, 7d, a date, a time");
        arguments.option("--until", "WHEN", until_, "runs made before");
        arguments.option("--status", "S", status_, "running, succeeded, failed, stopped or lost").choices = {
            kStatuses.begin(), kStatuses.end()};
        arguments.option("--reason", "R", reason_, "why it ended: exited, timeout, oom, ...").choices = {
            kReasons.begin(), kReasons.end()};
        arguments.option("--exit", "N", exit_code_, "exit code of the command");
        arguments.flag("--failed", failed_, "failed or lost");
        arguments.option("--name", "GLOB", name_, "name of the sandbox");
        arguments.option("--batch", "ID", batch_, "of this batch");
        arguments.option("--label", "K=V", labels_, "with this label");
        arguments.option("--image", "GLOB", image_, "source of the root filesystem");
        arguments.option("--grep", "TEXT", grep_, "in what the command wrote (not available yet)");
        arguments.option("--where", "EXPR", where_, "a condition (not available yet)");
        arguments.option("--limit", "N", limit_, "at most so many (default 50; 0: all)");
        arguments.option("--sort", "KEY,...", sort_, "created, duration, peak_memory, boot, name, exit_code")
            .choices = {kSortKeys.begin(), kSortKeys.end()};
        arguments.flag("--json", json_, "print one array of documents");
        arguments.flag("--jsonl", jsonl_, "print one document a line");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto filter, make_filter(context.clock().now()));
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto runs, store->list_runs(filter));
        VMETTE_CHECK_OK(context.console().write(render(runs, context)));
        return 0;
    }

private:
    Result<store::RunFilter> make_filter(WallTime now) const;
    std::string render(const std::vector<store::RunRecord>& runs, Context& context) const;

    std::optional<std::string> since_, until_, status_, reason_, name_, batch_, image_, grep_, where_;
    std::optional<std::int64_t> exit_code_, limit_;
    std::vector<std::string> labels_, sort_;
    bool failed_ = false, json_ = false, jsonl_ = false;
};

Result<store::RunFilter> HistoryCommand::make_filter(WallTime now) const {
    if (grep_) return fail(ErrorCode::unsupported, "--grep is not available yet");
    if (where_) return fail(ErrorCode::unsupported, "--where is not available yet");
    if (json_ && jsonl_) return fail(ErrorCode::bad_input, "--json and --jsonl exclude each other");
    store::RunFilter filter;
    if (since_) {
        VMETTE_TRY(filter.since, parse_when(*since_, now));
    }
    if (until_) {
        VMETTE_TRY(filter.until, parse_when(*until_, now));
    }
    if (status_) filter.status = store::parse_run_status(*status_);
    filter.reason = reason_.value_or("");
    constexpr std::int64_t kHighestExitCode = 255;
    if (exit_code_ && (*exit_code_ < 0 || *exit_code_ > kHighestExitCode))
        return fail(ErrorCode::bad_input, "--exit {}: an exit code is 0 to 255", *exit_code_);
    if (exit_code_) filter.exit_code = static_cast<int>(*exit_code_);
    filter.failed = failed_;
    filter.name_glob = name_.value_or("");
    filter.image_glob = image_.value_or("");
    filter.batch = batch_.value_or("");
    for (const auto& label : labels_) {
        auto equals = label.find('=');
        if (equals == label.npos || equals == 0)
            return fail(ErrorCode::bad_input, "--label {}: it is written NAME=VALUE", harmless_line(label));
        filter.labels[label.substr(0, equals)] = label.substr(equals + 1);
    }
    constexpr std::int64_t kMostRuns = 1'000'000;
    if (limit_ && (*limit_ < 0 || *limit_ > kMostRuns))
        return fail(ErrorCode::bad_input, "--limit {}: 0 to {}", *limit_, kMostRuns);
    if (limit_) filter.limit = static_cast<std::uint32_t>(*limit_);
    filter.sort = split_commas(sort_);
    for (const auto& key : filter.sort) VMETTE_CHECK_OK(check_name("--sort", key, kSortKeys));
    return filter;
}

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
    if (runs.empty()) {
        context.console().note("no runs");
        return out;
    }
    return render_table(runs, context.console(), context.clock().now());
}

}  // namespace

const Verb kHistoryVerb{
    .name = "history",
    .summary = "list past runs, newest first",
    .description =
        "All filters that are given must hold. TIME is that of the command; AGE is since the run was made.\n"
        "--sort duration goes by the whole run, from when it was made, not by TIME.",
    .example = "vmette history --failed --since 7d --sort duration",
    .exit_codes = "0  listed, even when nothing fits\n1  the history cannot be read\n2  wrong usage",
    .make = make_command<HistoryCommand>,
};

}  // namespace vmette::cli
