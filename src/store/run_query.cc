#include "store/run_query.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// SQLite's time for a GLOB grows with the stars in it; longer ones than this are nobody's name.
constexpr std::size_t kLongestGlob = 1000;

struct SortKey {
    std::string_view name, sql;
};
/// Each but the name's has an index with just this order.
constexpr std::array kSortKeys{
    SortKey{"created", "created_at DESC"},
    SortKey{"duration", "finished_at - created_at DESC"},
    SortKey{"peak_memory", "peak_memory_bytes DESC"},
    SortKey{"boot", "boot_ms DESC"},
    SortKey{"name", "name ASC NULLS LAST"},
    SortKey{"exit_code", "exit_code DESC, created_at DESC"},
};

/// A WHERE clause and its parameters, grown one condition at a time.
class Conditions {
public:
    explicit Conditions(std::vector<RunQuery::Argument>& arguments) : arguments_(arguments) {}
    /// `sql` holds "?" for each argument.
    template <typename... Args>
    void add(std::string_view sql, const Args&... arguments) {
        text_ += fmt::format("{}{}", text_.empty() ? " WHERE " : " AND ", sql);
        (arguments_.emplace_back(arguments), ...);
    }
    const std::string& text() const { return text_; }

private:
    std::vector<RunQuery::Argument>& arguments_;
    std::string text_;
};

std::int64_t milliseconds(WallTime time) { return time.time_since_epoch().count(); }

/// The table that leads, and the column of it that has the run's time: a label's index is in the order of time too, so
/// one label can lead; more are looked up run by run.
struct Lead {
    std::string_view table = "runs";
    std::string_view time = "runs.created_at";
};

Lead lead_of(const RunFilter& filter) {
    if (filter.labels.empty()) return {};
    return {"run_labels AS led CROSS JOIN runs ON key = led.run", "led.created_at"};
}

void add_labels(Conditions& where, const std::map<std::string, std::string>& labels) {
    for (bool leads = true; const auto& [label, value] : labels) {
        where.add(leads ? "led.label = ? AND led.value = ?"
                        : "EXISTS (SELECT 1 FROM run_labels AS own WHERE own.run = key AND own.label = ? "
                          "AND own.value = ?)",
                  label, value);
        leads = false;
    }
}

std::string where_of(const RunFilter& filter, const Lead& lead, std::vector<RunQuery::Argument>& arguments) {
    Conditions where(arguments);
    add_labels(where, filter.labels);
    if (filter.since) where.add(fmt::format("{} >= ?", lead.time), milliseconds(*filter.since));
    if (filter.until) where.add(fmt::format("{} <= ?", lead.time), milliseconds(*filter.until));
    if (filter.status) where.add("status = ?", to_string(*filter.status));
    if (!filter.reason.empty()) where.add("reason = ?", filter.reason);
    if (filter.exit_code) where.add("exit_code = ?", std::int64_t{*filter.exit_code});
    if (filter.failed) where.add("status IN ('failed', 'lost')");
    if (!filter.name_glob.empty()) where.add("name GLOB ?", filter.name_glob);
    if (!filter.image_glob.empty()) where.add("image_source GLOB ?", filter.image_glob);
    if (!filter.image_digest.empty()) where.add("image_digest = ?", filter.image_digest);
    if (!filter.batch.empty()) where.add("batch = ?", filter.batch);
    return where.text();
}

Result<std::string> order_of(const std::vector<std::string>& wanted, const Lead& lead) {
    std::string order;
    for (const std::string& word : wanted) {
        auto key = std::ranges::find(kSortKeys, std::string_view(word), &SortKey::name);
        if (key == kSortKeys.end()) {
            std::array<std::string_view, kSortKeys.size()> names;
            std::ranges::transform(kSortKeys, names.begin(), &SortKey::name);
            auto nearest = nearest_name(word, names);
            return fail(ErrorCode::bad_input, "cannot sort by \"{}\": {}expected one of {}", harmless_line(word, 80),
                        nearest ? fmt::format("did you mean \"{}\"? ", *nearest) : "", fmt::join(names, ", "));
        }
        order += fmt::format("{}, ", key->sql);
    }
    if (order.empty()) order = fmt::format("{} DESC, ", lead.time);
    return order + (lead.table == "runs" ? "key DESC" : "led.run DESC");
}

Result<> require_short(std::string_view what, const std::string& glob) {
    if (glob.size() <= kLongestGlob) return {};
    return fail(ErrorCode::bad_input, "the pattern for the {} has {} bytes: at most {} are allowed", what, glob.size(),
                kLongestGlob);
}

}  // namespace

void RunQuery::bind(SQLite::Statement& statement) const {
    for (int index = 1; const Argument& argument : arguments) {
        if (argument.number)
            statement.bind(index++, *argument.number);
        else
            bind_text(statement, index++, argument.text);
    }
}

Result<RunQuery> query_of(const RunFilter& filter) {
    VMETTE_CHECK_OK(require_short("name", filter.name_glob));
    VMETTE_CHECK_OK(require_short("image", filter.image_glob));
    Lead lead = lead_of(filter);
    VMETTE_TRY(std::string order, order_of(filter.sort, lead));
    RunQuery query;
    // Keys alone are sorted: whole rows would be copied into the sorter, most of them to be dropped by the limit.
    std::string where = where_of(filter, lead, query.arguments);
    query.sql = fmt::format("SELECT key FROM {}{} ORDER BY {}", lead.table, where, order);
    if (filter.limit != 0) query.sql += fmt::format(" LIMIT {}", filter.limit);
    return query;
}

}  // namespace vmette::store
