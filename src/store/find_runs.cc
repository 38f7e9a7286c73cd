#include "base/text.h"
#include "store/impl.h"
#include "store/run_query.h"
#include "store/run_row.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// How many ids an ambiguous prefix is answered with.
constexpr std::size_t kNamedCandidates = 5;
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
    VMETTE_TRY(RunQuery query, query_of(filter));
    Database& database = *impl_->database;
    return database.read([&] {
        // Not kept: its text is different at almost every call.
        SQLite::Statement chosen(database.connection(), query.sql);
        query.bind(chosen);
        Query row(database.prepared(fmt::format("{} WHERE key = ?1", select_runs(false))));
        std::vector<RunRecord> runs;
        while (chosen.executeStep()) {
            row->bind(1, chosen.getColumn(0).getInt64());
            if (row->executeStep()) runs.push_back(read_selected(database, *row));
            row->reset();
        }
        return runs;
    });
}

}  // namespace vmette::store
