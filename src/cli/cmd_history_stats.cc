/// vmette history stats: numbers over many runs.

#include "base/text.h"
#include "base/units.h"
#include "cli/json_writer.h"
#include "cli/run_filter_flags.h"
#include "cli/table.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "store/history.h"

namespace vmette::cli {
namespace {

std::string milliseconds(const store::Spread& spread, double value) {
    return spread.count == 0 ? "-" : short_duration(Duration(static_cast<std::int64_t>(value)));
}

std::string bytes(const store::Spread& spread, double value) {
    return spread.count == 0 ? "-" : human_size(static_cast<std::uint64_t>(value));
}

std::string number(double value) { return fmt::format("{}", value); }

std::string spread_json(const store::Spread& spread) {
    JsonObject object;
    object.number("count", spread.count);
    auto add = [&](std::string_view key, double value) { object.raw(key, spread.count == 0 ? "null" : number(value)); };
    add("p50", spread.p50);
    add("p95", spread.p95);
    add("max", spread.max);
    return object.render(false);
}

class HistoryStatsCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.option("--by", "KEY,...", by_, "group by name, image, batch, status, reason, day or label:KEY")
            .choices = {"name", "image", "batch", "status", "reason", "day"};
        filter_.define(arguments);
        arguments.flag("--json", json_, "print one array, an object a group");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto filter, filter_.filter(context));
        auto by = split_commas(by_);
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto groups, store::History(*store).stats(filter, by));
        if (groups.empty() && !json_) context.console().note("no runs");
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(groups, by) : as_text(groups, by, context.console())));
        return 0;
    }

private:
    static std::string as_text(const std::vector<store::RunStats>& groups, const std::vector<std::string>& by,
                               const Console& console) {
        if (groups.empty()) return "";
        constexpr std::size_t kNumbers = 12;
        std::vector<Table::Column> columns;
        columns.reserve(by.size() + kNumbers);
        for (const auto& key : by) columns.push_back({.heading = heading(key), .shrinks = true});
        for (const char* name :
             {"RUNS", "FAILED", "RATE", "TIME P50", "P95", "MAX", "BOOT P50", "P95", "MAX", "MEMORY P50", "P95", "MAX"})
            columns.push_back({.heading = name, .right = true});
        Table table(std::move(columns));
        for (const auto& group : groups) {
            std::vector<std::string> cells;
            cells.reserve(by.size() + kNumbers);
            for (const auto& key : group.keys) cells.push_back(key ? harmless_line(*key) : "-");
            auto rate = group.failure_rate();
            cells.push_back(fmt::to_string(group.runs));
            cells.push_back(fmt::to_string(group.failed + group.lost));
            constexpr double kPercent = 100;
            cells.push_back(rate ? fmt::format("{:.1f}%", *rate * kPercent) : "-");
            for (const auto* spread : {&group.duration_ms, &group.boot_ms})
                for (double value : {spread->p50, spread->p95, spread->max})
                    cells.push_back(milliseconds(*spread, value));
            for (double value : {group.memory_bytes.p50, group.memory_bytes.p95, group.memory_bytes.max})
                cells.push_back(bytes(group.memory_bytes, value));
            table.add(std::move(cells));
        }
        return table.render(console.out_width(), [&](int row, std::size_t, const std::string& text) {
            return row < 0 ? console.paint(Style::bold, text) : text;
        });
    }

    static std::string heading(const std::string& key) {
        // A label's name is its own.
        std::size_t colon = key.find(':');
        if (colon != key.npos) return harmless_line(key.substr(colon + 1), 60);
        std::string text = key;
        for (char& c : text)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        return text;
    }

    static std::string as_json(const std::vector<store::RunStats>& groups, const std::vector<std::string>& by) {
        std::vector<std::string> objects;
        for (const auto& group : groups) {
            JsonObject keys;
            for (std::size_t i = 0; i < by.size(); ++i)
                keys.raw(by[i], group.keys[i] ? json_string(*group.keys[i]) : "null");
            auto rate = group.failure_rate();
            objects.push_back(JsonObject()
                                  .raw("by", keys.render(false))
                                  .number("runs", group.runs)
                                  .number("running", group.running)
                                  .number("succeeded", group.succeeded)
                                  .number("failed", group.failed)
                                  .number("stopped", group.stopped)
                                  .number("lost", group.lost)
                                  .raw("failure_rate", rate ? number(*rate) : "null")
                                  .raw("duration_ms", spread_json(group.duration_ms))
                                  .raw("boot_ms", spread_json(group.boot_ms))
                                  .raw("peak_memory_bytes", spread_json(group.memory_bytes))
                                  .render(false));
        }
        return json_array(objects) + "\n";
    }

    std::vector<std::string> by_;
    RunFilterFlags filter_;
    bool json_ = false;
};

}  // namespace

const Verb kHistoryStatsVerb{
    .name = "history stats",
    .summary = "count runs, their failures, and how time and memory are spread",
    .description =
        "RATE is that of failed and lost runs among those that are over. TIME is that of whole runs, BOOT of the\n"
        "guest's start, MEMORY the most that the guest used; each as median, 95th percentile and maximum, of the runs\n"
        "that have it. Days are those of UTC.",
    .example = "vmette history stats --by image --since 30d",
    .exit_codes = "0  counted, even when nothing fits\n1  the history cannot be read\n2  wrong usage",
    .make = make_command<HistoryStatsCommand>,
};

}  // namespace vmette::cli
