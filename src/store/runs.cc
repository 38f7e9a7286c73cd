#include "store/impl.h"
#include "store/run_row.h"
#include "store/values.h"

namespace vmette::store {
namespace {

void write_manifest(Database& database, std::int64_t key, const std::string& manifest) {
    // Written once and then only compared: it is most of the bytes of a run.
    Query query(
        database.prepared("INSERT INTO run_manifests VALUES (?1, ?2) "
                          "ON CONFLICT (run) DO UPDATE SET manifest = excluded.manifest "
                          "WHERE manifest <> excluded.manifest"));
    query->bind(1, key);
    bind_text(*query, 2, manifest);
    query->executeStep();
}

/// Before its command begins a run can be repeated without harm, so its row need not wait for the disk; from then on
/// it must be known whatever happens. Commits reach the disk in order: a later one takes the earlier ones along.
Durability durability_of(const RunRecord& run) {
    bool harmless = run.status == RunStatus::running && !run.started_at;
    return harmless ? Durability::process : Durability::power_loss;
}

/// The row's key when `sql` (one parameter, the id) returns one.
std::optional<std::int64_t> key_of(Database& database, const std::string& sql, const RunRecord& run) {
    Query query(database.prepared(sql));
    bind_run(*query, run);
    if (!query->executeStep()) return std::nullopt;
    return query->getColumn(0).getInt64();
}

}  // namespace

Result<> Store::insert_run(const RunRecord& run) {
    static const std::string kInsert =
        fmt::format("INSERT INTO runs ({}) VALUES ({}) ON CONFLICT (id) DO NOTHING RETURNING key", run_columns(),
                    run_placeholders());
    Database& database = *impl_->database;
    VMETTE_TRY(bool inserted, database.write(durability_of(run), [&] {
        auto key = key_of(database, kInsert, run);
        if (!key) return false;
        write_manifest(database, *key, run.manifest);
        write_run_details(database, *key, run);
        return true;
    }));
    if (!inserted) return fail(ErrorCode::internal, "the history already has a run {}", run.id);
    return {};
}

Result<> Store::update_run(const RunRecord& run) {
    static const std::string kUpdate = fmt::format("UPDATE runs SET {} WHERE id = ?1 RETURNING key", run_assignments());
    Database& database = *impl_->database;
    VMETTE_TRY(bool updated, database.write(durability_of(run), [&] {
        auto key = key_of(database, kUpdate, run);
        if (!key) return false;
        write_manifest(database, *key, run.manifest);
        write_run_details(database, *key, run);
        return true;
    }));
    if (!updated) return fail(ErrorCode::not_found, "the history has no run {}", run.id);
    return {};
}

Result<bool> Store::mark_lost(std::string_view run_id, std::string_view error) {
    Database& database = *impl_->database;
    return database.write(Durability::power_loss, [&] {
        // When it ended is not known, so finished_at stays empty.
        Query query(
            database.prepared("UPDATE runs SET status = 'lost', reason = 'lost', error = ?2, "
                              "started_before_failure = started_at IS NOT NULL "
                              "WHERE id = ?1 AND status = 'running' RETURNING key"));
        bind_text(*query, 1, run_id);
        bind_value(*query, 2, std::string(error));
        return query->executeStep();
    });
}

Result<std::vector<RunRecord>> Store::running_runs() {
    Database& database = *impl_->database;
    return database.read([&] {
        Query query(
            database.prepared("SELECT id, name, created_at, owner_pid, owner_start_ticks, owner_boot_id FROM runs "
                              "WHERE status = 'running' ORDER BY created_at DESC, key DESC"));
        std::vector<RunRecord> runs;
        while (query->executeStep()) {
            RunRecord& run = runs.emplace_back();
            read_value(query->getColumn(0), run.id);
            read_value(query->getColumn(1), run.name);
            read_value(query->getColumn(2), run.created_at);
            read_value(query->getColumn(3), run.owner.pid);
            read_value(query->getColumn(4), run.owner.start_ticks);
            read_value(query->getColumn(5), run.owner.boot_id);
        }
        return runs;
    });
}

std::string_view to_string(RunStatus status) {
    switch (status) {
        case RunStatus::running:
            return "running";
        case RunStatus::succeeded:
            return "succeeded";
        case RunStatus::failed:
            return "failed";
        case RunStatus::stopped:
            return "stopped";
        case RunStatus::lost:
            return "lost";
    }
    return "lost";
}

std::optional<RunStatus> parse_run_status(std::string_view text) {
    for (RunStatus status :
         {RunStatus::running, RunStatus::succeeded, RunStatus::failed, RunStatus::stopped, RunStatus::lost})
        if (text == to_string(status)) return status;
    return std::nullopt;
}

}  // namespace vmette::store
