#pragma once
/// One connection to the SQLite file: opened, its statements prepared when first used, its failures turned into values.
/// Not thread-safe.

#include <chrono>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include <SQLiteCpp/SQLiteCpp.h>

#include "base/error.h"
#include "base/units.h"
#include "store/sqlite_error.h"

namespace vmette::store {

/// How much a commit must survive. Both survive the death of any process, `kill -9` included.
enum class Durability {
    power_loss,  ///< the commit is on the disk when it returns: one fdatasync
    process,     ///< a power failure may take back the last commits, whole and in order
};

/// A prepared statement in use. Ready for its next use when this ends.
class Query {
public:
    explicit Query(SQLite::Statement& statement) : statement_(statement) {}
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    ~Query();
    SQLite::Statement* operator->() { return &statement_; }
    SQLite::Statement& operator*() { return statement_; }

private:
    SQLite::Statement& statement_;
};

class Database {
public:
    enum class Mode { read_write, read_only };

    /// Opens what is there; read_write makes it (0600, its folder 0700) when nothing is. Does not look at the schema.
    /// `busy_limit`: how long another process's write is waited for.
    static Result<std::unique_ptr<Database>> open(const std::filesystem::path& path, Mode mode, Duration busy_limit);
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// A statement by its text, prepared on first use and kept. Call it inside the functions below.
    SQLite::Statement& prepared(const std::string& sql);
    void execute(const char* sql) { connection_.exec(sql); }
    SQLite::Database& connection() { return connection_; }
    sqlite3* handle() { return connection_.getHandle(); }

    /// Runs `body` and turns what SQLite throws into an Error; `body` must be repeatable, as a lock that another
    /// process holds makes it run again.
    template <typename Body>
    auto guarded(Body&& body) -> Result<std::invoke_result_t<Body>>;

    /// The same, with all that `body` reads from one state of the database.
    template <typename Body>
    auto read(Body&& body) -> Result<std::invoke_result_t<Body>> {
        return guarded([&] { return inside("BEGIN", body); });
    }

    /// The same inside one writing transaction: committed when `body` returns, rolled back when it throws.
    template <typename Body>
    auto write(Durability durability, Body&& body) -> Result<std::invoke_result_t<Body>> {
        return guarded([&] {
            set_durability(durability);
            return inside("BEGIN IMMEDIATE", body);
        });
    }

    const std::filesystem::path& path() const { return path_; }

private:
    class Transaction {
    public:
        Transaction(Database& database, const std::string& begin);
        Transaction(const Transaction&) = delete;
        Transaction& operator=(const Transaction&) = delete;
        ~Transaction();
        void commit();

    private:
        Database& database_;
        bool committed_ = false;
    };

    Database(std::filesystem::path path, Mode mode, Duration busy_limit);
    void set_durability(Durability durability);
    static int on_busy(void* self, int count);

    template <typename Body>
    std::invoke_result_t<Body> inside(const std::string& begin, Body& body) {
        Transaction transaction(*this, begin);
        if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
            body();
            transaction.commit();
        } else {
            auto value = body();
            transaction.commit();
            return value;
        }
    }

    /// Between two tries for a lock that was first missed at `since`.
    void pause(std::chrono::steady_clock::time_point since);
    /// The errno behind the last failure, 0 when not known.
    int system_error();

    std::filesystem::path path_;
    Duration busy_limit_;
    SQLite::Database connection_;
    std::unordered_map<std::string, SQLite::Statement> statements_;
    std::optional<Durability> durability_;
    int commit_errno_ = 0;  ///< sqlite3_system_errno() does not tell of a failed COMMIT
    std::chrono::steady_clock::time_point busy_since_;
    std::minstd_rand jitter_;
};

template <typename Body>
auto Database::guarded(Body&& body) -> Result<std::invoke_result_t<Body>> {
    auto begin = std::chrono::steady_clock::now();
    while (true) {
        try {
            if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
                body();
                return {};
            } else {
                return body();
            }
        } catch (const SQLite::Exception& problem) {
            int number = system_error();
            // Some locks are refused at once, without the busy handler: where waiting could deadlock.
            if (!is_transient(problem) || std::chrono::steady_clock::now() >= begin + busy_limit_)
                return Failure(sqlite_error(problem, number, path_, busy_limit_));
        } catch (const DamagedRow& problem) {
            return Failure(damaged_database(path_, problem.what()));
        } catch (const std::bad_alloc&) {
            return fail(ErrorCode::io, "not enough memory to read the history {}", path_.string());
        }
        pause(begin);
    }
}

}  // namespace vmette::store
