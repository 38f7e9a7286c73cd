#include "store/run_query.h"

#include "base/text.h"
#include "store/run_fields.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// SQLite's time for a GLOB grows with the stars in it; longer ones than this are nobody's name.
constexpr std::size_t kLongestGlob = 1000;

/// A WHERE clause and its parameters, grown one condition at a time.
class Conditions {
public:
    explicit Conditions(std::vector<SqlValue>& arguments) : arguments_(arguments) {}
    /// `sql` holds "?" for each argument.
    template <typename... Args>
    void add(std::string_view sql, const Args&... arguments) {
        text_ += fmt::format("{}{}", text_.empty() ? " WHERE " : " AND ", sql);
        (arguments_.emplace_back(arguments), ...);
    }
    const std::string& text() const { return text_; }

private:
    std::vector<SqlValue>& arguments_;
    std::string text_;
};

std::int64_t milliseconds(WallTime time) { return time.time_since_epoch().count(); }

/// The tables that lead, and the columns of them that have the run's time and key: a label's index is in the order of
/// time too, so one label can lead; more are looked up run by run.
struct Lead {
    std::string_view tables = "runs";
    std::string_view time = "runs.created_at";
    std::string_view key = "runs.key";
};

Lead lead_of(const RunFilter& filter) {
    // The index of words is in the order of the keys.
    if (!filter.grep.empty())
        return {"run_outputs CROSS JOIN runs ON runs.key = run_outputs.rowid", "runs.created_at", "run_outputs.rowid"};
    if (filter.labels.empty()) return {};
    return {"run_labels AS led CROSS JOIN runs ON runs.key = led.run", "led.created_at", "led.run"};
}

/// As one phrase of FTS5, in which nothing has a meaning of its own.
std::string phrase(std::string_view text) {
    std::string quoted = "\"";
    for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + "\"";
}

void add_labels(Conditions& where, const std::map<std::string, std::string>& labels, bool leads) {
    for (const auto& [label, value] : labels) {
        where.add(leads ? "led.label = ? AND led.value = ?"
                        : "EXISTS (SELECT 1 FROM run_labels AS own WHERE own.run = runs.key AND own.label = ? "
                          "AND own.value = ?)",
                  label, value);
        leads = false;
    }
}

std::string where_of(const RunFilter& filter, const Lead& lead, std::vector<SqlValue>& arguments) {
    Conditions where(arguments);
    if (!filter.grep.empty()) where.add("run_outputs MATCH ?", phrase(filter.grep));
    add_labels(where, filter.labels, filter.grep.empty());
    if (filter.since) where.add(fmt::format("{} >= ?", lead.time), milliseconds(*filter.since));
    if (filter.until) where.add(fmt::format("{} <= ?", lead.time), milliseconds(*filter.until));
    if (filter.status) where.add("runs.status = ?", std::string(to_string(*filter.status)));
    if (!filter.reason.empty()) where.add("runs.reason = ?", filter.reason);
    if (filter.exit_code) where.add("runs.exit_code = ?", std::int64_t{*filter.exit_code});
    if (filter.failed) where.add("runs.status IN ('failed', 'lost')");
    if (!filter.name_glob.empty()) where.add("runs.name GLOB ?", filter.name_glob);
    if (!filter.image_glob.empty()) where.add("runs.image_source GLOB ?", filter.image_glob);
    if (!filter.image_digest.empty()) where.add("runs.image_digest = ?", filter.image_digest);
    if (!filter.batch.empty()) where.add("runs.batch = ?", filter.batch);
    if (filter.where) where.add(fmt::format("({})", condition_sql(*filter.where, arguments)));
    return where.text();
}

/// One key of the order, as SQL: "duration", "-duration" (largest first), "+duration".
Result<std::string> order_of_key(std::string_view word) {
    std::string_view name = word.substr(word.starts_with('-') || word.starts_with('+') ? 1 : 0);
    const RunField* field = find_run_field(name);
    if (field == nullptr) {
        auto nearest = nearest_name(name, run_field_names());
        return fail(ErrorCode::bad_input, "cannot sort by \"{}\": there is no such field{}", harmless_line(name, 80),
                    nearest ? fmt::format("; did you mean {}?", *nearest) : "");
    }
    bool falling = word.starts_with('-') || (field->largest_first && !word.starts_with('+'));
    // Among equal codes the newest first: the index has both.
    std::string_view then = falling && field->name == "exit_code" ? ", runs.created_at DESC" : "";
    return fmt::format("{} {}{}, ", field->sql, falling ? "DESC" : "ASC NULLS LAST", then);
}

Result<std::string> order_of(const std::vector<std::string>& wanted, const Lead& lead) {
    constexpr std::size_t kMostKeys = 16;
    if (wanted.size() > kMostKeys) return fail(ErrorCode::bad_input, "at most {} fields to sort by", kMostKeys);
    std::string order;
    for (const std::string& word : wanted) {
        VMETTE_TRY(std::string key, order_of_key(word));
        order += key;
    }
    if (order.empty() && !lead.tables.starts_with("run_outputs")) order = fmt::format("{} DESC, ", lead.time);
    return fmt::format("{}{} DESC", order, lead.key);
}

Result<> require_short(std::string_view what, const std::string& glob) {
    if (glob.size() <= kLongestGlob) return {};
    return fail(ErrorCode::bad_input, "the pattern for the {} has {} bytes: at most {} are allowed", what, glob.size(),
                kLongestGlob);
}

}  // namespace

void RunQuery::bind(SQLite::Statement& statement) const {
    for (int index = 1; const SqlValue& argument : arguments) {
        if (const auto* text = std::get_if<std::string>(&argument))
            bind_text(statement, index, *text);
        else if (const auto* whole = std::get_if<std::int64_t>(&argument))
            bind_value(statement, index, *whole);
        else if (const auto* number = std::get_if<double>(&argument))
            bind_value(statement, index, *number);
        ++index;
    }
}

Result<RunQuery> unordered_query_of(const RunFilter& filter, std::string_view columns) {
    VMETTE_CHECK_OK(require_short("name", filter.name_glob));
    VMETTE_CHECK_OK(require_short("image", filter.image_glob));
    VMETTE_CHECK_OK(require_short("output", filter.grep));
    RunQuery query;
    Lead lead = lead_of(filter);
    std::string where = where_of(filter, lead, query.arguments);
    query.sql = fmt::format("SELECT {} FROM {}{}", columns, lead.tables, where);
    return query;
}

Result<RunQuery> query_of(const RunFilter& filter, std::string_view columns) {
    VMETTE_TRY(RunQuery query, unordered_query_of(filter, columns));
    VMETTE_TRY(std::string order, order_of(filter.sort, lead_of(filter)));
    query.sql += fmt::format(" ORDER BY {}", order);
    if (filter.limit != 0) query.sql += fmt::format(" LIMIT {}", filter.limit);
    return query;
}

}  // namespace vmette::store
