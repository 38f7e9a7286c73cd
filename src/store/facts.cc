#include "store/impl.h"
#include "store/values.h"

namespace vmette::store {

Result<std::optional<std::string>> Store::get_fact(std::string_view key) {
    Database& database = *impl_->database;
    return database.read([&]() -> std::optional<std::string> {
        Query query(database.prepared("SELECT value FROM facts WHERE key = ?1"));
        bind_text(*query, 1, key);
        if (!query->executeStep()) return std::nullopt;
        return query->getColumn(0).getString();
    });
}

// A fact can be learned again, so none of this waits for the disk.

Result<> Store::put_fact(std::string_view key, std::string_view value) {
    Database& database = *impl_->database;
    return database.write(Durability::process, [&] {
        Query query(
            database.prepared("INSERT INTO facts VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE "
                              "SET value = excluded.value, learned_at = excluded.learned_at"));
        bind_text(*query, 1, key);
        bind_text(*query, 2, value);
        bind_value(*query, 3, impl_->clock.now());
        query->executeStep();
    });
}

Result<> Store::remove_facts(std::string_view key_prefix) {
    Database& database = *impl_->database;
    return database.write(Durability::process, [&] {
        Query query(database.prepared("DELETE FROM facts WHERE key >= ?1 AND (?2 IS NULL OR key < ?2)"));
        bind_text(*query, 1, key_prefix);
        bind_value(*query, 2, prefix_end(key_prefix));
        query->executeStep();
    });
}

}  // namespace vmette::store
