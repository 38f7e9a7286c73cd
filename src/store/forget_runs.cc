#include "store/history.h"
#include "store/impl.h"
#include "store/run_query.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// What can still change, or be taken up again, is kept: the jobs of a batch are told apart by their runs.
constexpr std::string_view kIsOver =
    "runs.status <> 'running' AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.id = runs.batch "
    "AND batches.status IN ('running', 'interrupted'))";

}  // namespace

Result<std::vector<History::Forgettable>> History::forgettable(const RunFilter& filter) {
    RunFilter all = filter;
    all.limit = 0;
    all.sort = {"created"};
    VMETTE_TRY(RunQuery query, query_of(all, fmt::format("runs.id, runs.created_at, {}", kIsOver)));
    return store_.impl_->database->guarded([&] {
        SQLite::Statement row(store_.impl_->database->connection(), query.sql);
        query.bind(row);
        std::vector<Forgettable> found;
        while (row.executeStep()) {
            if (row.getColumn(2).getInt() == 0) continue;
            Forgettable& one = found.emplace_back();
            read_value(row.getColumn(0), one.id);
            read_value(row.getColumn(1), one.created_at);
        }
        return found;
    });
}

Result<std::uint64_t> History::forget(std::span<const std::string> ids) {
    static const std::string kDelete = fmt::format("DELETE FROM runs WHERE id = ?1 AND {} RETURNING key", kIsOver);
    Database& database = *store_.impl_->database;
    return database.write(Durability::process, [&] {
        std::uint64_t removed = 0;
        for (const std::string& id : ids) {
            Query query(database.prepared(kDelete));
            bind_text(*query, 1, id);
            if (!query->executeStep()) continue;
            ++removed;
            // Only a virtual table is not reached by the cascade.
            Query output(database.prepared("DELETE FROM run_outputs WHERE rowid = ?1"));
            output->bind(1, query->getColumn(0).getInt64());
            output->executeStep();
        }
        return removed;
    });
}

}  // namespace vmette::store
