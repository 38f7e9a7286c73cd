/// Successes that stand for runs with equal inputs. All of it can be had again, so none of it waits for the disk.

#include "base/digest.h"
#include "base/text.h"
#include "store/batch_row.h"
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

Result<std::vector<Batches::CachedResult>> Batches::recent_cached(std::uint32_t limit) {
    Database& database = *store_.impl_->database;
    return database.read([&] {
        Query query(database.prepared("SELECT run_id, inputs FROM cached_results ORDER BY put_at DESC LIMIT ?1"));
        bind_value(*query, 1, limit);
        std::vector<CachedResult> found;
        while (auto result = read_result(query)) found.push_back(*std::move(result));
        return found;
    });
}

Result<> Batches::remove_cached(std::string_view key, std::string_view run_id) {
    Database& database = *store_.impl_->database;
    return database.write(Durability::process, [&] {
        Query query(database.prepared("DELETE FROM cached_results WHERE key = ?1 AND run_id = ?2"));
        bind_text(*query, 1, key);
        bind_text(*query, 2, run_id);
        query->executeStep();
    });
}

Result<std::string> Batches::cache_decision(std::string_view batch_id, std::uint32_t job) {
    Database& database = *store_.impl_->database;
    return flat(database.read([&]() -> Result<std::string> {
        auto size = batch_size(database, batch_id);
        if (!size) return no_batch(batch_id);
        Query query(database.prepared("SELECT decision FROM cache_decisions WHERE batch = ?1 AND position = ?2"));
        query->bind(1, size->key);
        bind_value(*query, 2, job);
        std::string decision;
        if (query->executeStep()) read_value(query->getColumn(0), decision);
        return decision;
    }));
}

Result<> Batches::put_cache_decision(std::string_view batch_id, std::uint32_t job, std::string_view decision) {
    Database& database = *store_.impl_->database;
    return flat(database.write(Durability::process, [&]() -> Result<> {
        auto size = batch_size(database, batch_id);
        if (!size) return no_batch(batch_id);
        if (job >= size->jobs) return fail(ErrorCode::not_found, "batch {} has no job {}", batch_id, job);
        Query query(
            database.prepared("INSERT INTO cache_decisions VALUES (?1, ?2, ?3) ON CONFLICT (batch, position) "
                              "DO UPDATE SET decision = excluded.decision"));
        query->bind(1, size->key);
        bind_value(*query, 2, job);
        bind_text(*query, 3, decision);
        query->executeStep();
        return {};
    }));
}

Result<std::optional<std::string>> Batches::tree_listing(std::string_view digest) {
    Database& database = *store_.impl_->database;
    return database.read([&]() -> std::optional<std::string> {
        Query query(database.prepared("SELECT listing FROM tree_listings WHERE digest = ?1"));
        bind_text(*query, 1, digest);
        if (!query->executeStep()) return std::nullopt;
        return query->getColumn(0).getString();
    });
}

Result<> Batches::put_tree_listing(std::string_view digest, std::string_view listing) {
    Database& database = *store_.impl_->database;
    return database.write(Durability::process, [&] {
        Query put(
            database.prepared("INSERT INTO tree_listings VALUES (?1, ?2, ?3) ON CONFLICT (digest) "
                              "DO UPDATE SET used_at = excluded.used_at"));
        bind_text(*put, 1, digest);
        put->bind(2, listing.data(), static_cast<int>(listing.size()));
        bind_value(*put, 3, store_.impl_->clock.now());
        put->executeStep();
        Query drop(
            database.prepared("DELETE FROM tree_listings WHERE digest IN (SELECT digest FROM (SELECT digest, "
                              "sum(length(listing)) OVER (ORDER BY used_at DESC, digest) AS bytes FROM tree_listings) "
                              "WHERE bytes > ?1)"));
        bind_value(*drop, 1, kMostListings);
        drop->executeStep();
    });
}

Result<std::string> Batches::cache_salt() {
    constexpr std::string_view kSaltFact = "cache-salt";
    constexpr std::size_t kSaltBytes = 32;
    VMETTE_TRY(auto known, store_.get_fact(kSaltFact));
    if (known) return *std::move(known);
    // Another process may come first: the one that is there stays.
    Database& database = *store_.impl_->database;
    return database.write(Durability::process, [&] {
        Query put(database.prepared("INSERT INTO facts VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING"));
        bind_text(*put, 1, kSaltFact);
        bind_text(*put, 2, random_hex(kSaltBytes));
        bind_value(*put, 3, store_.impl_->clock.now());
        put->executeStep();
        Query get(database.prepared("SELECT value FROM facts WHERE key = ?1"));
        bind_text(*get, 1, kSaltFact);
        get->executeStep();
        return get->getColumn(0).getString();
    });
}

}  // namespace vmette::store
