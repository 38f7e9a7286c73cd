/// Who drives a batch, and what becomes of its jobs.

#include "store/batch_row.h"
#include "store/batches.h"
#include "store/impl.h"
#include "store/values.h"

namespace vmette::store {
namespace {

bool is_final(JobState state) { return state != JobState::pending && state != JobState::running; }

/// Of a batch's cancel requests: all its jobs.
constexpr std::int64_t kWholeBatch = -1;

struct Owned {
    std::int64_t key = 0;
    std::uint32_t jobs = 0;
};

/// The batch, when `self` drives it; inside a transaction.
Result<Owned> owned_by(Database& database, std::string_view id, const ProcessIdentity& self) {
    Query query(
        database.prepared("SELECT key, jobs, owner_pid, owner_start_ticks, owner_boot_id FROM batches WHERE id = ?1"));
    bind_text(*query, 1, id);
    if (!query->executeStep()) return no_batch(id);
    auto owner = read_identity(*query, 2);
    if (owner != self)
        return fail(ErrorCode::busy, "batch {} is not driven by this process any more{}", id,
                    owner.pid == 0 ? "" : fmt::format(", but by process {}", owner.pid));
    Owned owned{query->getColumn(0).getInt64()};
    read_value(query->getColumn(1), owned.jobs);
    return owned;
}

void write_owner(Database& database, std::int64_t key, const BatchRecord& batch) {
    Query query(
        database.prepared("UPDATE batches SET status = ?2, finished_at = ?3, owner_pid = ?4, owner_start_ticks = ?5, "
                          "owner_boot_id = ?6 WHERE key = ?1"));
    query->bind(1, key);
    bind_text(*query, 2, to_string(batch.status));
    bind_value(*query, 3, batch.finished_at);
    bind_identity(*query, 4, batch.owner);
    query->executeStep();
}

void run_for_batch(Database& database, const std::string& sql, std::int64_t key) {
    Query query(database.prepared(sql));
    query->bind(1, key);
    query->executeStep();
}

/// What an attempt that never was leaves no trace of: with no attempt there is no run and no begin.
const std::string kChangeJob =
    "UPDATE batch_jobs SET state = ?3, attempts = ?4, not_before = ?5, "
    "reason = coalesce(?6, reason), "
    "exit_code = iif(?6 IS NULL, exit_code, ?7), "
    "detail = iif(?6 IS NULL, detail, ?8), "
    "reused = iif(?6 IS NULL, reused, ?12), "
    "run_id = iif(?4 = 0, NULL, coalesce(?9, run_id)), "
    // A job that was settled begins anew; its time does not count what lay between.
    "started_at = iif(?4 = 0 OR (?3 = 'pending' AND finished_at IS NOT NULL), NULL, iif(?3 = 'running', "
    "coalesce(started_at, ?10), started_at)), "
    "finished_at = iif(?11, coalesce(?10, finished_at), NULL) "
    "WHERE batch = ?1 AND position = ?2";

void change_job(Database& database, SQLite::Statement& statement, std::int64_t key, const JobChange& change) {
    Query query(statement);
    query->bind(1, key);
    bind_value(*query, 2, change.index);
    bind_value(*query, 3, change.state);
    bind_value(*query, 4, change.attempts);
    bind_value(*query, 5, change.not_before);
    bind_value(*query, 6, change.reason);
    bind_value(*query, 7, change.exit_code);
    bind_value(*query, 8, change.detail);
    bind_value(*query, 9, change.run_id);
    bind_value(*query, 10, change.at);
    bind_value(*query, 11, is_final(change.state));
    bind_value(*query, 12, change.reused);
    query->executeStep();
    if (database.connection().getChanges() != 1)
        throw DamagedRow(fmt::format("a batch lacks its job {}", change.index));
}

}  // namespace

Result<BatchRecord> Batches::take(std::string_view batch_id, const ProcessIdentity& self,
                                  const std::function<bool(const ProcessIdentity&)>& alive) {
    Database& database = *store_.impl_->database;
    // After a power failure nobody drives it, whether this is known or not.
    return flat(database.write(Durability::process, [&]() -> Result<BatchRecord> {
        auto found = one_batch(database, "id = ?1", batch_id);
        if (!found) return no_batch(batch_id);
        BatchRecord& batch = found->record;
        if (batch.owner.pid != 0 && batch.owner != self && alive(batch.owner))
            return fail(ErrorCode::busy, "batch {} is driven by process {}", batch.id, batch.owner.pid);
        bool was_over = batch.status != BatchStatus::running && batch.status != BatchStatus::interrupted;
        // They were meant for what is over.
        if (was_over) run_for_batch(database, "DELETE FROM batch_cancels WHERE batch = ?1", found->key);
        batch.owner = self;
        batch.status = BatchStatus::running;
        batch.finished_at.reset();
        write_owner(database, found->key, batch);
        return std::move(batch);
    }));
}

Result<> Batches::release(std::string_view batch_id, const ProcessIdentity& self, BatchStatus status) {
    Database& database = *store_.impl_->database;
    return flat(database.write(Durability::power_loss, [&]() -> Result<> {
        VMETTE_TRY(Owned owned, owned_by(database, batch_id, self));
        BatchRecord batch;
        batch.status = status;
        if (status != BatchStatus::running && status != BatchStatus::interrupted)
            batch.finished_at = store_.impl_->clock.now();
        write_owner(database, owned.key, batch);
        return {};
    }));
}

Result<> Batches::apply(std::string_view batch_id, const ProcessIdentity& self, std::span<const JobChange> changes,
                        bool durable) {
    Database& database = *store_.impl_->database;
    return flat(database.write(durable ? Durability::power_loss : Durability::process, [&]() -> Result<> {
        VMETTE_TRY(Owned owned, owned_by(database, batch_id, self));
        for (const JobChange& change : changes)
            if (change.index >= owned.jobs)
                return fail(ErrorCode::internal, "batch {} has no job {}", batch_id, change.index);
        auto& statement = database.prepared(kChangeJob);
        for (const JobChange& change : changes) change_job(database, statement, owned.key, change);
        return {};
    }));
}

Result<> Batches::request_cancel(std::string_view batch_id, std::optional<std::uint32_t> job) {
    Database& database = *store_.impl_->database;
    return flat(database.write(Durability::power_loss, [&]() -> Result<> {
        auto size = batch_size(database, batch_id);
        if (!size) return no_batch(batch_id);
        if (job && *job >= size->jobs) return fail(ErrorCode::not_found, "batch {} has no job {}", batch_id, *job);
        Query query(database.prepared("INSERT OR IGNORE INTO batch_cancels VALUES (?1, ?2)"));
        query->bind(1, size->key);
        bind_value(*query, 2, job ? std::int64_t{*job} : kWholeBatch);
        query->executeStep();
        return {};
    }));
}

Result<std::vector<std::optional<std::uint32_t>>> Batches::take_cancel_requests(std::string_view batch_id) {
    using Requests = std::vector<std::optional<std::uint32_t>>;
    Database& database = *store_.impl_->database;
    auto read_all = [&](std::int64_t key) {
        Query query(database.prepared("SELECT position FROM batch_cancels WHERE batch = ?1 ORDER BY position"));
        query->bind(1, key);
        Requests requests;
        while (query->executeStep()) {
            auto& request = requests.emplace_back();
            if (query->getColumn(0).getInt64() != kWholeBatch) read_value(query->getColumn(0), request);
        }
        return requests;
    };
    // Mostly there are none, and the lock of writers is not asked for.
    VMETTE_TRY(auto waiting, flat(database.read([&]() -> Result<Requests> {
                   auto size = batch_size(database, batch_id);
                   if (!size) return no_batch(batch_id);
                   return read_all(size->key);
               })));
    if (waiting.empty()) return waiting;
    return flat(database.write(Durability::process, [&]() -> Result<Requests> {
        auto size = batch_size(database, batch_id);
        if (!size) return no_batch(batch_id);
        auto requests = read_all(size->key);
        run_for_batch(database, "DELETE FROM batch_cancels WHERE batch = ?1", size->key);
        return requests;
    }));
}

}  // namespace vmette::store
