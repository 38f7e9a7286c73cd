#include <algorithm>
#include <array>

#include "base/text.h"
#include "store/impl.h"
#include "store/run_row.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// How many ids an ambiguous prefix is answered with.
constexpr std::size_t kNamedCandidates = 5;
/// SQLite's time for a GLOB grows with the stars in it; longer ones than this are nobody's name.
constexpr std::size_t kLongestGlob = 1000;

struct SortKey {
    std::string_view name, sql;
};
constexpr std::array kSortKeys{
    SortKey{"created", "created_at DESC"},
    SortKey{"duration", "finished_at - created_at DESC"},
    SortKey{"peak_memory", "peak_memory_bytes DESC"},
    SortKey{"boot", "boot_ms DESC"},
    SortKey{"name", "name ASC NULLS LAST"},
    SortKey{"exit_code", "exit_code DESC"},
};

/// "SELECT key, <columns>, manifest or NULL FROM runs".
std::string select_runs(bool with_manifest) {
    return fmt::format("SELECT key, {}, {} FROM runs", run_columns(),
                       with_manifest ? "(SELECT manifest FROM run_manifests WHERE run = key)" : "NULL");
}

RunRecord read_selected(Database& database, SQLite::Statement& row) {
    RunRecord run = read_run(row, 1);
    read_value(row.getColumn(1 + run_column_count()), run.manifest);
    read_run_details(database, row.getColumn(0).getInt64(), run);
    return run;
}

/// The run that `condition` (with ?1) selects, when there is one.
std::optional<RunRecord> one_run(Database& database, std::string_view condition, std::string_view argument) {
    Query query(database.prepared(fmt::format("{} WHERE {}", select_runs(true), condition)));
    bind_text(*query, 1, argument);
    if (!query->executeStep()) return std::nullopt;
    return read_selected(database, *query);
}

/// Ids that begin with `prefix`, newest first, one more than are ever shown.
std::vector<std::string> ids_with_prefix(Database& database, const std::string& prefix) {
    Query query(
        database.prepared("SELECT id FROM runs WHERE id >= ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"));
    bind_text(*query, 1, prefix);
    bind_value(*query, 2, prefix_end(prefix));
    bind_value(*query, 3, std::int64_t{kNamedCandidates + 1});
    std::vector<std::string> ids;
    while (query->executeStep()) ids.push_back(query->getColumn(0).getString());
    return ids;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

/// A WHERE clause and its parameters, grown one condition at a time.
class Conditions {
public:
    /// `sql` holds "?" for each argument.
    template <typename... Args>
    void add(std::string_view sql, const Args&... arguments) {
        text_ += fmt::format("{}{}", text_.empty() ? " WHERE " : " AND ", sql);
        (arguments_.emplace_back(arguments), ...);
    }
    const std::string& text() const { return text_; }
    void bind(SQLite::Statement& statement) const {
        int index = 0;
        for (const Argument& argument : arguments_) {
            ++index;
            if (argument.number)
                statement.bind(index, *argument.number);
            else
                bind_text(statement, index, argument.text);
        }
    }

private:
    struct Argument {
        explicit Argument(std::int64_t value) : number(value) {}
        explicit Argument(std::string_view value) : text(value) {}
        std::optional<std::int64_t> number;
        std::string text;
    };
    std::string text_;
    std::vector<Argument> arguments_;
};

std::int64_t milliseconds(WallTime time) { return time.time_since_epoch().count(); }

Conditions conditions_of(const RunFilter& filter) {
    Conditions where;
    if (filter.since) where.add("created_at >= ?", milliseconds(*filter.since));
    if (filter.until) where.add("created_at <= ?", milliseconds(*filter.until));
    if (filter.status) where.add("status = ?", to_string(*filter.status));
    if (!filter.reason.empty()) where.add("reason = ?", filter.reason);
    if (filter.exit_code) where.add("exit_code = ?", std::int64_t{*filter.exit_code});
    if (filter.failed) where.add("status IN ('failed', 'lost')");
    if (!filter.name_glob.empty()) where.add("name GLOB ?", filter.name_glob);
    if (!filter.image_glob.empty()) where.add("image_source GLOB ?", filter.image_glob);
    if (!filter.batch.empty()) where.add("batch = ?", filter.batch);
    for (const auto& [label, value] : filter.labels)
        where.add("key IN (SELECT run FROM run_labels WHERE label = ? AND value = ?)", label, value);
    return where;
}

Result<std::string> order_of(const std::vector<std::string>& wanted) {
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
    if (order.empty()) order = "created_at DESC, ";
    return order + "key DESC";
}

Result<> require_short(std::string_view what, const std::string& glob) {
    if (glob.size() <= kLongestGlob) return {};
    return fail(ErrorCode::bad_input, "the pattern for the {} has {} bytes: at most {} are allowed", what, glob.size(),
                kLongestGlob);
}

}  // namespace

Result<std::optional<RunRecord>> Store::get_run(std::string_view id) {
    Database& database = *impl_->database;
    return database.read([&] { return one_run(database, "id = ?1", id); });
}

Result<RunRecord> Store::find_run(std::string_view id_or_name) {
    if (id_or_name.empty()) return fail(ErrorCode::bad_input, "expected the id or the name of a run");
    Database& database = *impl_->database;
    std::vector<std::string> ids;
    VMETTE_TRY(auto found, database.read([&] {
        // As a whole it is an id or a name; only then the beginning of an id.
        std::string prefix = lower(id_or_name);
        auto run = one_run(database, "id = ?1", prefix);
        if (!run) run = one_run(database, "name = ?1 ORDER BY created_at DESC, key DESC LIMIT 1", id_or_name);
        if (run) return run;
        ids = ids_with_prefix(database, prefix);
        return ids.size() == 1 ? one_run(database, "id = ?1", ids.front()) : std::nullopt;
    }));
    if (found) return *std::move(found);
    std::string shown = harmless_line(id_or_name, 80);
    if (ids.empty()) return fail(ErrorCode::not_found, "no run has the id or the name \"{}\"", shown);
    bool more = ids.size() > kNamedCandidates;
    if (more) ids.pop_back();
    return fail(ErrorCode::bad_input, "\"{}\" is the beginning of several ids: {}{}", shown, fmt::join(ids, ", "),
                more ? ", …" : "");
}

Result<std::vector<RunRecord>> Store::list_runs(const RunFilter& filter) {
    VMETTE_CHECK_OK(require_short("name", filter.name_glob));
    VMETTE_CHECK_OK(require_short("image", filter.image_glob));
    VMETTE_TRY(std::string order, order_of(filter.sort));
    Conditions where = conditions_of(filter);
    std::string sql = fmt::format("{}{} ORDER BY {}", select_runs(false), where.text(), order);
    if (filter.limit != 0) sql += fmt::format(" LIMIT {}", filter.limit);
    Database& database = *impl_->database;
    return database.read([&] {
        // Not kept: its text is different at almost every call.
        SQLite::Statement statement(database.connection(), sql);
        where.bind(statement);
        std::vector<RunRecord> runs;
        while (statement.executeStep()) runs.push_back(read_selected(database, statement));
        return runs;
    });
}

}  // namespace vmette::store
