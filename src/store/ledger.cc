#include "store/impl.h"
#include "store/values.h"

namespace vmette::store {
namespace {

LedgerKind parse_kind(std::string_view text) {
    for (LedgerKind kind : {LedgerKind::directory, LedgerKind::file, LedgerKind::process})
        if (text == to_string(kind)) return kind;
    throw DamagedRow("the ledger has an unknown kind");
}

LedgerEntry read_entry(SQLite::Statement& row) {
    LedgerEntry entry;
    read_value(row.getColumn(0), entry.id);
    read_value(row.getColumn(1), entry.run_id);
    entry.kind = parse_kind(row.getColumn(2).getString());
    read_value(row.getColumn(3), entry.path);
    read_value(row.getColumn(4), entry.process.pid);
    read_value(row.getColumn(5), entry.process.start_ticks);
    read_value(row.getColumn(6), entry.process.boot_id);
    read_value(row.getColumn(7), entry.what);
    return entry;
}

}  // namespace

std::string_view to_string(LedgerKind kind) {
    switch (kind) {
        case LedgerKind::directory:
            return "directory";
        case LedgerKind::file:
            return "file";
        case LedgerKind::process:
            return "process";
    }
    return "process";
}

Result<std::int64_t> Store::ledger_add(const LedgerEntry& entry) {
    Database& database = *impl_->database;
    // A power failure ends the processes too and empties the runtime folder, so there is little to owe after it.
    return database.write(Durability::process, [&] {
        Query query(
            database.prepared("INSERT INTO ledger (run_id, kind, path, pid, start_ticks, boot_id, what) "
                              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id"));
        bind_text(*query, 1, entry.run_id);
        bind_text(*query, 2, to_string(entry.kind));
        bind_text(*query, 3, entry.path);
        bind_value(*query, 4, entry.process.pid);
        bind_value(*query, 5, entry.process.start_ticks);
        bind_text(*query, 6, entry.process.boot_id);
        bind_text(*query, 7, entry.what);
        query->executeStep();
        return query->getColumn(0).getInt64();
    });
}

Result<> Store::ledger_remove(std::int64_t id) {
    Database& database = *impl_->database;
    return database.write(Durability::process, [&] {
        Query query(database.prepared("DELETE FROM ledger WHERE id = ?1"));
        query->bind(1, id);
        query->executeStep();
    });
}

Result<std::vector<LedgerEntry>> Store::ledger_list(std::string_view run_id) {
    Database& database = *impl_->database;
    return database.read([&] {
        std::string sql = "SELECT id, run_id, kind, path, pid, start_ticks, boot_id, what FROM ledger ";
        sql += run_id.empty() ? "ORDER BY id DESC" : "WHERE run_id = ?1 ORDER BY id DESC";
        Query query(database.prepared(sql));
        if (!run_id.empty()) bind_text(*query, 1, run_id);
        std::vector<LedgerEntry> entries;
        while (query->executeStep()) entries.push_back(read_entry(*query));
        return entries;
    });
}

}  // namespace vmette::store
