#include "store/impl.h"
#include "store/lookup.h"
#include "store/run_query.h"
#include "store/run_row.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// The run that `condition` (with ?1) selects, when there is one.
std::optional<RunRecord> one_run(Database& database, std::string_view condition, std::string_view argument) {
    Query query(database.prepared(fmt::format("{} WHERE {}", select_runs(true), condition)));
    bind_text(*query, 1, argument);
    if (!query->executeStep()) return std::nullopt;
    return read_selected_run(database, *query);
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
        ids = ids_with_prefix(database, "runs", prefix);
        return ids.size() == 1 ? one_run(database, "id = ?1", ids.front()) : std::nullopt;
    }));
    if (found) return *std::move(found);
    return not_one("run", id_or_name, std::move(ids));
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
            if (row->executeStep()) runs.push_back(read_selected_run(database, *row));
            row->reset();
        }
        return runs;
    });
}

}  // namespace vmette::store
