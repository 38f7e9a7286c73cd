#include "store/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/layout.h"

namespace vmette::store {
namespace {

/// Bounds what one row of a hostile file can cost; a manifest is at most 10 MB.
constexpr int kLongestValue = 64 << 20;
/// Pages of log after which a commit copies them into the file: what the next lone process must read to begin is at
/// most this (1 MB: 0.2 ms), and so is what a commit may have to copy.
constexpr int kCheckpointPages = 256;

/// Makes the file with our mode, and never by opening it: closing a second descriptor of a file drops the locks that
/// another connection of this process holds on it (POSIX).
Result<> make_file(const std::filesystem::path& path) {
    auto folder = path.parent_path();
    if (!folder.empty()) VMETTE_CHECK_OK(make_private_dir(folder));
    if (::mknod(path.c_str(), S_IFREG | 0600, 0) != 0 && errno != EEXIST)
        return fail_errno("create the history " + path.string());
    return {};
}

Result<> require_file(const std::filesystem::path& path, Database::Mode mode) {
    bool writes = mode == Database::Mode::read_write;
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) {
        if (errno != ENOENT || !writes) return fail_errno("open the history " + path.string());
        VMETTE_CHECK_OK(make_file(path));
        if (::stat(path.c_str(), &info) != 0) return fail_errno("open the history " + path.string());
    }
    if (!S_ISREG(info.st_mode)) return fail(ErrorCode::io, "the history {} is not a file", path.string());
    // Its rows say what may be removed and killed: they must be this user's own words.
    if (writes) {
        VMETTE_CHECK_OK(require_private(path));
        if (path.has_parent_path()) VMETTE_CHECK_OK(require_private(path.parent_path()));
    }
    if (::faccessat(AT_FDCWD, path.c_str(), writes ? R_OK | W_OK : R_OK, AT_EACCESS) != 0)
        return fail_errno("open the history " + path.string());
    return {};
}

}  // namespace

Query::~Query() {
    // A statement that is not reset holds its read transaction open.
    statement_.tryReset();
    statement_.clearBindings();
}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& path, Mode mode, Duration busy_limit) {
    VMETTE_CHECK_OK(require_file(path, mode));
    std::unique_ptr<Database> database;
    try {
        database.reset(new Database(path, mode, busy_limit));
    } catch (const SQLite::Exception& problem) {
        return Failure(sqlite_error(problem, 0, path, busy_limit));
    }
    return database;
}

Database::Database(std::filesystem::path path, Mode mode, Duration busy_limit)
    : path_(std::move(path)),
      busy_limit_(busy_limit),
      connection_(path_.string(),
                  (mode == Mode::read_write ? SQLite::OPEN_READWRITE : SQLite::OPEN_READONLY) | SQLite::OPEN_NOMUTEX),
      jitter_(static_cast<unsigned>(::getpid())) {
    sqlite3* db = handle();
    ::sqlite3_busy_handler(db, &Database::on_busy, this);
    ::sqlite3_limit(db, SQLITE_LIMIT_LENGTH, kLongestValue);
    ::sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
    ::sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    ::sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    // The log stays between processes: removing and making it again costs each of them several syncs.
    ::sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    ::sqlite3_wal_autocheckpoint(db, kCheckpointPages);
}

SQLite::Statement& Database::prepared(const std::string& sql) {
    auto found = statements_.find(sql);
    if (found == statements_.end()) found = statements_.emplace(sql, SQLite::Statement(connection_, sql)).first;
    return found->second;
}

void Database::set_durability(Durability durability) {
    if (durability == durability_) return;
    connection_.exec(durability == Durability::power_loss ? "PRAGMA synchronous = FULL"
                                                          : "PRAGMA synchronous = NORMAL");
    durability_ = durability;
}

int Database::system_error() {
    int number = std::exchange(commit_errno_, 0);
    return number != 0 ? number : ::sqlite3_system_errno(handle());
}

int Database::on_busy(void* self, int count) {
    auto& database = *static_cast<Database*>(self);
    auto now = std::chrono::steady_clock::now();
    if (count == 0) database.busy_since_ = now;
    if (now - database.busy_since_ >= database.busy_limit_) return 0;
    database.pause(database.busy_since_);
    return 1;
}

void Database::pause(std::chrono::steady_clock::time_point since) {
    // Writers hold the lock for about a millisecond; the spread keeps many of them from asking in step. Who has waited
    // long asks more often, or on a host that is busy with other things one of many would never be the one.
    auto waited = std::chrono::steady_clock::now() - since;
    int longest = waited < std::chrono::seconds(1) ? 4000 : waited < std::chrono::seconds(4) ? 1000 : 250;
    std::uniform_int_distribution<int> microseconds(longest / 20, longest);
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds(jitter_)));
}

Database::Transaction::Transaction(Database& database, const std::string& begin) : database_(database) {
    Query query(database_.prepared(begin));
    query->executeStep();
}

Database::Transaction::~Transaction() {
    if (committed_) return;
    // SQLite has rolled back by itself after some failures (a full disk); then this says so, and that is all.
    ::sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Database::Transaction::commit() {
    Query query(database_.prepared("COMMIT"));
    errno = 0;
    try {
        query->executeStep();
    } catch (const SQLite::Exception&) {
        database_.commit_errno_ = errno;
        throw;
    }
    committed_ = true;
}

}  // namespace vmette::store
