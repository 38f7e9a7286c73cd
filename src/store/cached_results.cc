/// Successes that stand for runs with equal inputs. All of it can be had again, so none of it waits for the disk.

#include "base/text.h"
#include "store/batches.h"
#include "store/impl.h"
#include "store/values.h"

namespace vmette::store {
namespace {

std::optional<Batches::CachedResult> read_result(Query& query) {
    if (!query->executeStep()) return std::nullopt;
    Batches::CachedResult result;
    read_value(query->getColumn(0), result.run_id);
    read_value(query->getColumn(1), result.inputs);
    return result;
}

}  // namespace

Result<std::optional<Batches::CachedResult>> Batches::cached(std::string_view key) {
    Database& database = *store_.impl_->database;
    return database.read([&] {
        Query query(database.prepared("SELECT run_id, inputs FROM cached_results WHERE key = ?1"));
        bind_text(*query, 1, key);
        return read_result(query);
    });
}

Result<> Batches::put_cached(std::string_view key, const CachedResult& result) {
    Database& database = *store_.impl_->database;
    VMETTE_TRY(bool put, database.write(Durability::process, [&] {
        Query query(database.prepared(
            "INSERT INTO cached_results "
            "SELECT ?1, runs.id, ?3, (SELECT name FROM batches WHERE batches.id = runs.batch), job, ?4 "
            "FROM runs WHERE runs.id = ?2 ON CONFLICT (key) DO UPDATE "
            "SET run_id = excluded.run_id, inputs = excluded.inputs, batch_name = excluded.batch_name, "
            "job = excluded.job, put_at = excluded.put_at"));
        bind_text(*query, 1, key);
        bind_text(*query, 2, result.run_id);
        bind_text(*query, 3, result.inputs);
        bind_value(*query, 4, store_.impl_->clock.now());
        query->executeStep();
        return database.connection().getChanges() == 1;
    }));
    if (!put) return fail(ErrorCode::not_found, "the history has no run {}", harmless_line(result.run_id, 80));
    return {};
}

Result<std::optional<Batches::CachedResult>> Batches::cached_for(std::string_view batch_name, std::string_view job) {
    Database& database = *store_.impl_->database;
    return database.read([&] {
        Query query(
            database.prepared("SELECT run_id, inputs FROM cached_results WHERE batch_name = ?1 AND job = ?2 "
                              "ORDER BY put_at DESC, key DESC LIMIT 1"));
        bind_text(*query, 1, batch_name);
        bind_text(*query, 2, job);
        return read_result(query);
    });
}

}  // namespace vmette::store
