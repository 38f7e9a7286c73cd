/// vmette history diff: two runs beside each other.

#include "base/text.h"
#include "base/units.h"
#include "cli/json_writer.h"
#include "cli/run_diff.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

constexpr double kPercent = 100;

std::string shown(const Difference& difference, const std::optional<std::string>& value) {
    if (!value) return "-";
    if (difference.number && difference.key.ends_with("_bytes")) return human_size(std::stoull(*value));
    if (difference.number && difference.key.ends_with("_ms")) return fmt::format("{:.1f} ms", std::stod(*value));
    return harmless_line(*value, 200);
}

/// "+12%"; what is less than half a percent says nothing.
std::string change_text(const Difference& difference) {
    if (!difference.change) return "";
    return fmt::format("{:+.0f}%", *difference.change * kPercent);
}

std::string section(std::string_view title, const std::vector<Difference>& differences, const Console& console) {
    if (differences.empty()) return fmt::format("{}: no difference\n", title);
    Table table({{.heading = fmt::format("{}", title)},
                 {.heading = "A", .shrinks = true},
                 {.heading = "B", .shrinks = true},
                 {.heading = "CHANGE", .right = true}});
    for (const auto& one : differences)
        table.add({harmless_line(one.key, 80), shown(one, one.a), shown(one, one.b), change_text(one)});
    return table.render(console.out_width(), [&](int row, std::size_t, const std::string& text) {
        return row < 0 ? console.paint(Style::bold, text) : text;
    });
}

std::string list_json(const std::vector<Difference>& differences) {
    std::vector<std::string> objects;
    objects.reserve(differences.size());
    for (const auto& one : differences)
        objects.push_back(JsonObject()
                              .text("key", one.key)
                              .raw("a", one.a ? json_string(*one.a) : "null")
                              .raw("b", one.b ? json_string(*one.b) : "null")
                              .raw("change", one.change ? fmt::format("{}", *one.change) : "null")
                              .render(false));
    return json_array(objects);
}

class HistoryDiffCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        for (auto [name, target] : {std::pair{"A", &a_}, std::pair{"B", &b_}}) {
            auto& id = arguments.operand(name, *target, "an id, the beginning of one, or a name (its newest run)");
            id.required = true;
            id.completes = Completes::runs;
        }
        arguments.flag("--json", json_, "print one object");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto a, store->find_run(*a_));
        VMETTE_TRY(auto b, store->find_run(*b_));
        RunDiff diff = diff_runs(a, b);
        Console& console = context.console();
        std::string text;
        if (json_)
            text = JsonObject()
                       .text("a", a.id)
                       .text("b", b.id)
                       .raw("inputs", list_json(diff.inputs))
                       .raw("results", list_json(diff.results))
                       .render() +
                   "\n";
        else
            text = fmt::format("A: {} {}, {}\nB: {} {}, {}\n\n{}\n{}", a.id, harmless_line(a.name),
                               format_rfc3339(a.created_at), b.id, harmless_line(b.name), format_rfc3339(b.created_at),
                               section("INPUT", diff.inputs, console), section("RESULT", diff.results, console));
        VMETTE_CHECK_OK(console.write(text));
        return 0;
    }

private:
    std::optional<std::string> a_, b_;
    bool json_ = false;
};

}  // namespace

const Verb kHistoryDiffVerb{
    .name = "history diff",
    .summary = "show what two runs do not have in common",
    .description =
        "What went in: the manifest key by key, the digests of image and kernel, the names of variables (their values\n"
        "are not shown). What came out: status, times, what was used, artifacts.",
    .example = "vmette history diff build 01m828w0dw5ppt",
    .exit_codes = "0  shown, even when nothing differs\n1  there is no such run\n2  wrong usage, or several runs fit",
    .make = make_command<HistoryDiffCommand>,
};

}  // namespace vmette::cli
