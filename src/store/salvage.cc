#include "store/salvage.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"
#include "store/damaged_table.h"
#include "store/impl.h"
#include "store/migrate.h"
#include "store/raw_statement.h"

namespace vmette::store {
namespace {

/// A table of the schema, with the columns that the damaged file has too.
struct CommonTable {
    DamagedTable table;
    int columns = 0;
    bool is_runs = false;
};

/// The names that `sql`, a query with `table` as ?1, gives.
std::vector<std::string> names(Database& database, const std::string& sql, std::string_view table) {
    SQLite::Statement query(database.connection(), sql);
    query.bind(1, std::string(table));
    std::vector<std::string> found;
    while (query.executeStep()) found.push_back(query.getColumn(0).getString());
    return found;
}

std::vector<std::string> columns_of(Database& database, std::string_view table) {
    return names(database, "SELECT name FROM pragma_table_info(?1) ORDER BY cid", table);
}

/// In the order in which they were made: what others refer to comes first.
std::vector<CommonTable> common_tables(Database& damaged, Database& target) {
    std::vector<CommonTable> tables;
    SQLite::Statement all(target.connection(),
                          "SELECT list.name, list.wr FROM pragma_table_list AS list JOIN sqlite_schema AS made "
                          "ON made.name = list.name WHERE list.schema = 'main' AND list.type = 'table' "
                          "AND list.name NOT LIKE 'sqlite%' ORDER BY made.rowid");
    while (all.executeStep()) {
        std::string name = all.getColumn(0).getString();
        // A view of that name would be asked to work for us.
        bool is_table = !names(damaged,
                               "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
                               "AND name = ?1",
                               name)
                             .empty();
        if (!is_table) continue;
        auto theirs = columns_of(damaged, name);
        std::vector<std::string> common;
        for (auto& column : columns_of(target, name))
            if (std::ranges::find(theirs, column) != theirs.end()) common.push_back(std::move(column));
        if (common.empty()) continue;
        auto keys = names(target, "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk", name);
        bool has_rowid = all.getColumn(1).getInt() == 0;
        CommonTable& made = tables.emplace_back();
        made.columns = static_cast<int>(common.size());
        made.is_runs = name == "runs";
        made.table = {name, fmt::format("{}", fmt::join(common, ", ")), fmt::format("{}", fmt::join(keys, ", ")),
                      has_rowid};
    }
    return tables;
}

Result<std::unique_ptr<Database>> open_damaged(const std::filesystem::path& path) {
    VMETTE_TRY(auto database, Database::open(path, Database::Mode::read_only, Store::kBusyLimit));
    // SQLite then reads a file that is shorter than it should be, and a schema with parts that make no sense. It cannot
    // write to it.
    ::sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
    VMETTE_CHECK_OK(database->guarded([&] { database->execute("PRAGMA writable_schema = 1"); }));
    VMETTE_CHECK_OK(require_not_newer(*database, migrations()));
    return database;
}

class Copy {
public:
    Copy(Database& damaged, Database& target) : damaged_(damaged), target_(target), reader_(damaged.handle()) {}

    Salvage all() {
        for (const CommonTable& one : common_tables(damaged_, target_)) table(one);
        outputs();
        saved_.gaps = reader_.gaps();
        return saved_;
    }

private:
    void table(const CommonTable& one) {
        std::string places = "?1";
        for (int i = 2; i <= one.columns; ++i) places += fmt::format(", ?{}", i);
        DamagedTable source = one.table;
        if (source.has_rowid) source.columns = "rowid, " + source.columns;
        std::uint64_t copied = copy(
            source, source.has_rowid ? 1 : 0,
            fmt::format("INSERT INTO {} ({}) VALUES ({})", one.table.name, one.table.columns, places), one.columns);
        (one.is_runs ? saved_.runs : saved_.other_rows) += copied;
    }

    /// What was written, from the table that the index keeps it in; the index itself is made anew.
    void outputs() {
        copy({"run_outputs_content", "rowid, id, c0", "id", true}, 1,
             "INSERT INTO run_outputs (rowid, text) SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM runs WHERE key = ?1)", 2);
    }

    /// How many rows of `source` `sql` has put, from the column `first` on.
    std::uint64_t copy(const DamagedTable& source, int first, const std::string& sql, int columns) {
        RawStatement put(target_.handle(), sql);
        if (put.get() == nullptr) throw SQLite::Exception(target_.handle(), put.result());
        std::uint64_t copied = 0;
        reader_.each_row(source, [&](sqlite3_stmt* row) {
            for (int i = 0; i < columns; ++i)
                ::sqlite3_bind_value(put.get(), i + 1, ::sqlite3_column_value(row, first + i));
            int result = put.step();
            int problem = result == SQLITE_DONE ? SQLITE_OK : ::sqlite3_extended_errcode(target_.handle());
            ::sqlite3_reset(put.get());
            bool known = problem == SQLITE_CONSTRAINT_PRIMARYKEY || problem == SQLITE_CONSTRAINT_ROWID;
            // What the file or the disk refuses is no fault of the row's.
            if (problem != SQLITE_OK && (problem & 0xFF) != SQLITE_CONSTRAINT)
                throw SQLite::Exception(target_.handle(), result);
            bool put_one = problem == SQLITE_OK && ::sqlite3_changes(target_.handle()) > 0;
            if (!known) ++(put_one ? copied : saved_.refused);
        });
        return copied;
    }

    Database& damaged_;
    Database& target_;
    DamagedReader reader_;
    Salvage saved_;
};

/// Runs that hold what no vmette writes would be in the way of every listing.
Result<> drop_senseless(Store& store, Database& target, Salvage& saved) {
    VMETTE_TRY(auto ids, target.read([&] {
        Query query(target.prepared("SELECT id FROM runs"));
        std::vector<std::string> all;
        while (query->executeStep()) all.push_back(query->getColumn(0).getString());
        return all;
    }));
    for (const std::string& id : ids) {
        if (store.get_run(id)) continue;
        VMETTE_CHECK_OK(target.write(Durability::process, [&] {
            Query query(target.prepared("DELETE FROM runs WHERE id = ?1"));
            query->bind(1, id);
            query->executeStep();
        }));
        --saved.runs;
        ++saved.refused;
    }
    return {};
}

/// All into the one file, and that to the disk.
Result<> settle(Database& target) {
    VMETTE_CHECK_OK(target.guarded([&] {
        Query query(target.prepared("PRAGMA wal_checkpoint(TRUNCATE)"));
        query->executeStep();
    }));
    VMETTE_TRY(Fd folder, open_file(target.path().parent_path(), O_RDONLY | O_DIRECTORY));
    if (::fsync(folder.get()) != 0) return fail_errno("write " + target.path().string());
    return {};
}

}  // namespace

Result<Salvage> salvage(const std::filesystem::path& damaged, const std::filesystem::path& target, const Clock& clock) {
    if (std::filesystem::exists(target)) return fail(ErrorCode::internal, "{} is there already", target.string());
    VMETTE_TRY(auto source, open_damaged(damaged));
    Salvage saved;
    {
        VMETTE_TRY(Store made, Store::open(target, clock));
        VMETTE_TRY(auto database, Database::open(target, Database::Mode::read_write, Store::kBusyLimit));
        VMETTE_TRY(saved, database->write(Durability::power_loss, [&] { return Copy(*source, *database).all(); }));
        VMETTE_CHECK_OK(drop_senseless(made, *database, saved));
        VMETTE_CHECK_OK(settle(*database));
    }
    for (const char* companion : {"-wal", "-shm"}) {
        std::error_code gone;
        std::filesystem::remove(target.string() + companion, gone);
    }
    return saved;
}

Result<Salvage> count_salvageable(const std::filesystem::path& damaged) {
    VMETTE_TRY(auto source, open_damaged(damaged));
    return source->guarded([&] {
        DamagedReader reader(source->handle());
        Salvage found;
        reader.each_row({"runs", "rowid, *", "key", true}, [&](sqlite3_stmt*) { ++found.runs; });
        found.gaps = reader.gaps();
        return found;
    });
}

}  // namespace vmette::store
