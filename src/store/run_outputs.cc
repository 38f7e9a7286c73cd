#include "store/history.h"
#include "store/impl.h"
#include "store/values.h"

namespace vmette::store {

Result<> History::index_output(std::string_view run_id, std::string_view text) {
    Database& database = *store_.impl_->database;
    VMETTE_TRY(bool found, database.write(Durability::process, [&] {
        Query run(database.prepared("SELECT key FROM runs WHERE id = ?1"));
        bind_text(*run, 1, run_id);
        if (!run->executeStep()) return false;
        Query put(database.prepared("INSERT OR REPLACE INTO run_outputs (rowid, text) VALUES (?1, ?2)"));
        put->bind(1, run->getColumn(0).getInt64());
        bind_text(*put, 2, text);
        put->executeStep();
        return true;
    }));
    if (!found) return fail(ErrorCode::not_found, "the history has no run {}", run_id);
    return {};
}

}  // namespace vmette::store
