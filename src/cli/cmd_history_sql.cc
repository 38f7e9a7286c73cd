/// vmette history sql: the user's own question.

#include "base/text.h"
#include "base/units.h"
#include "cli/csv.h"
#include "cli/harmless_stream.h"
#include "cli/json_writer.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "store/sql_query.h"

namespace vmette::cli {
namespace {

/// Rows of a table, which is laid out as a whole.
constexpr std::int64_t kTableRows = 10'000;
constexpr std::int64_t kMostRows = 10'000'000;
/// What is laid out in columns is held whole.
constexpr std::uint64_t kMostTableRows = 100'000;
/// Bytes that are gathered before they are written.
constexpr std::size_t kPiece = 64 << 10;

class HistorySqlCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.operand("SQL", sql_, "one SELECT").required = true;
        arguments.option("--limit", "N", limit_, "at most so many rows (default 10000; at most 10000000)");
        arguments.option("--timeout", "D", timeout_, "at most so long (default 10s)");
        arguments.flag("--json", json_, "print one array, an object a row");
        arguments.flag("--csv", csv_, "print the names of the columns and a line a row");
    }

    Result<int> run(Context& context) override {
        if (json_ && csv_) return fail(ErrorCode::bad_input, "--json and --csv exclude each other");
        VMETTE_TRY(auto limits, limits_from_flags());
        // Made or brought up to date, as for any verb; the question has a connection of its own.
        VMETTE_TRY([[maybe_unused]] auto* store, context.swept_store());
        VMETTE_TRY(const Layout* layout, context.layout());
        return json_ || csv_ ? stream(context, layout->database(), limits) : table(context, layout->database(), limits);
    }

private:
    Result<store::SqlLimits> limits_from_flags() const {
        store::SqlLimits limits;
        if (limit_ && (*limit_ < 1 || *limit_ > kMostRows))
            return fail(ErrorCode::bad_input, "--limit {}: 1 to {}", *limit_, kMostRows);
        limits.rows = static_cast<std::uint64_t>(limit_.value_or(kTableRows));
        if (!json_ && !csv_ && limits.rows > kMostTableRows)
            return fail(ErrorCode::bad_input, "--limit {}: a table has at most {} rows; --csv and --json have no end",
                        limits.rows, kMostTableRows);
        if (timeout_) {
            VMETTE_TRY(limits.time, parse_duration(*timeout_));
        }
        return limits;
    }

    static void say_cut(Context& context, const store::SqlResult& result) {
        if (result.cut) context.console().warning(fmt::format("there are more rows than {}: see --limit", result.rows));
    }

    Result<int> stream(Context& context, const std::filesystem::path& database, const store::SqlLimits& limits) const {
        Console& console = context.console();
        std::string out;
        Result<> written;
        auto result = store::run_sql(database, *sql_, limits, [&](const store::SqlResult& so_far, auto values) {
            if (csv_ && so_far.rows == 1) out += csv_line(so_far.columns);
            out += csv_ ? csv_line(values) : (so_far.rows == 1 ? "[\n" : ",\n") + row_json(so_far.columns, values);
            if (out.size() < kPiece) return true;
            written = write_foreign(console, out);
            out.clear();
            return written.has_value() && !console.reader_gone();
        });
        // What was written before a failure stays without its end: no reader takes it for the whole.
        if (!result) return Failure(result.error());
        VMETTE_CHECK_OK(written);
        if (csv_ && result->rows == 0) out += csv_line(result->columns);
        if (json_) out += result->rows == 0 ? "[]\n" : "\n]\n";
        VMETTE_CHECK_OK(write_foreign(console, out));
        say_cut(context, *result);
        return 0;
    }

    Result<int> table(Context& context, const std::filesystem::path& database, const store::SqlLimits& limits) const {
        std::vector<std::vector<std::string>> rows;
        auto result = store::run_sql(database, *sql_, limits, [&](const store::SqlResult&, auto values) {
            auto& cells = rows.emplace_back();
            for (const auto& value : values) cells.push_back(value_text(value));
            return true;
        });
        if (!result) return Failure(result.error());
        std::vector<Table::Column> columns;
        for (const auto& name : result->columns)
            columns.push_back({.heading = harmless_line(name, 80), .shrinks = true});
        Table laid_out(std::move(columns));
        for (auto& cells : rows) laid_out.add(std::move(cells));
        Console& console = context.console();
        if (rows.empty()) console.note("no rows");
        if (!rows.empty())
            VMETTE_CHECK_OK(
                console.write(laid_out.render(console.out_width(), [&](int row, std::size_t, const std::string& text) {
                    return row < 0 ? console.paint(Style::bold, text) : text;
                })));
        say_cut(context, *result);
        return 0;
    }

    static std::string row_json(const std::vector<std::string>& names, std::span<const store::SqlValue> values) {
        JsonObject object;
        for (std::size_t i = 0; i < names.size(); ++i) object.raw(to_valid_utf8(names[i]), value_json(values[i]));
        return object.render(false);
    }

    std::optional<std::string> sql_, timeout_;
    std::optional<std::int64_t> limit_;
    bool json_ = false, csv_ = false;
};

}  // namespace

const Verb kHistorySqlVerb{
    .name = "history sql",
    .summary = "ask the history in SQL",
    .description =
        "One SELECT over the views runs, labels, artifacts, denied, batches and jobs (docs/history.md has their\n"
        "columns), in SQLite's SQL. It reads alone: nothing can be changed, and no other table be seen.",
    .example = "vmette history sql 'SELECT name, avg(duration_ms) FROM runs GROUP BY name ORDER BY 2 DESC'",
    .exit_codes = "0  answered\n1  the history cannot be read, or the query took too long\n2  wrong usage or SQL",
    .make = make_command<HistorySqlCommand>,
};

}  // namespace vmette::cli
