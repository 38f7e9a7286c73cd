#include "store/migrate.h"

#include "store/database.h"

namespace vmette::store {
namespace {

/// "vmet": what `file` and others tell a vmette database by.
constexpr int kApplicationId = 0x766d6574;

int integer(Database& database, const std::string& sql) {
    Query query(database.prepared(sql));
    return query->executeStep() ? query->getColumn(0).getInt() : 0;
}

int version_of(Database& database) { return integer(database, "PRAGMA user_version"); }

Failure too_new(const Database& database, int found, int newest) {
    return fail(ErrorCode::unsupported,
                "the history {} was written by a newer vmette (schema {}, this one knows up to {}); use that vmette, "
                "or set VMETTE_STATE_DIR to keep another history",
                database.path().string(), found, newest);
}

/// Nobody else's database is written to: an unused file is empty, a used one carries our mark.
void require_ours(Database& database, int version) {
    int id = integer(database, "PRAGMA application_id");
    if (id == kApplicationId) return;
    if (id != 0 || version != 0 || integer(database, "SELECT count(*) FROM sqlite_schema") != 0)
        throw DamagedRow("it belongs to another program");
}

Result<int> our_version(Database& database) {
    return database.read([&] {
        int version = version_of(database);
        require_ours(database, version);
        return version;
    });
}

/// Another process may have come first: looks again under the lock.
Result<> apply(Database& database, const Migration& migration, Durability durability) {
    auto applied = database.write(durability, [&] {
        int version = version_of(database);
        if (version >= migration.version) return;
        require_ours(database, version);
        database.execute(std::string(migration.sql).c_str());
        database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str());
        database.execute(fmt::format("PRAGMA user_version = {}", migration.version).c_str());
    });
    if (!applied)
        return Failure(applied.error().because(
            fmt::format("cannot bring the history to schema {} ({})", migration.version, migration.name)));
    return {};
}

}  // namespace

Result<> migrate(Database& database, std::span<const Migration> known) {
    int newest = known.back().version;
    VMETTE_TRY(int version, our_version(database));
    if (version > newest) return too_new(database, version, newest);
    if (version == newest) return {};
    // A property of the file, outside any transaction. SQLite refuses it at once while others look at the file, and
    // guarded() tries again.
    VMETTE_CHECK_OK(database.guarded([&] { database.execute("PRAGMA journal_mode = WAL"); }));
    // A new history has nothing to lose yet, and making it should not keep the first run waiting.
    Durability durability = version == 0 ? Durability::process : Durability::power_loss;
    for (const Migration& migration : known)
        if (migration.version > version) VMETTE_CHECK_OK(apply(database, migration, durability));
    VMETTE_TRY(int reached, our_version(database));
    if (reached > newest) return too_new(database, reached, newest);
    return {};
}

Result<> require_not_newer(Database& database, std::span<const Migration> known) {
    VMETTE_TRY(int version, our_version(database));
    if (version > known.back().version) return too_new(database, version, known.back().version);
    return {};
}

Result<> require_current(Database& database, std::span<const Migration> known) {
    int newest = known.back().version;
    VMETTE_TRY(int version, our_version(database));
    if (version > newest) return too_new(database, version, newest);
    if (version == newest) return {};
    return fail(ErrorCode::unsupported,
                "the history {} was written by an older vmette (schema {}, this one needs {}); any command that "
                "writes to it, such as \"vmette gc\", brings it up to date",
                database.path().string(), version, newest);
}

}  // namespace vmette::store
