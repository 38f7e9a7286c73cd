#include "store/sqlite_error.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <cerrno>

namespace vmette::store {
namespace {

bool out_of_space(int number) {
    // EFBIG: a limit on the size of files (RLIMIT_FSIZE, or the filesystem's own).
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

}  // namespace

bool is_transient(const SQLite::Exception& problem) {
    int code = problem.getErrorCode() & 0xFF;
    // PROTOCOL: the lock on the WAL's index could not be had in SQLite's own number of tries.
    return code == SQLITE_BUSY || code == SQLITE_LOCKED || code == SQLITE_PROTOCOL;
}

Error damaged_database(const std::filesystem::path& path, std::string_view detail) {
    return Error{
        ErrorCode::io,
        fmt::format("the history {0} is damaged or not a vmette database ({1}); \"vmette doctor\" says what can "
                    "be saved, and a new one is made when it is moved away with its companions: {0}, {0}-wal, "
                    "{0}-shm",
                    path.string(), detail),
        nullptr};
}

Error sqlite_error(const SQLite::Exception& problem, int number, const std::filesystem::path& path,
                   Duration busy_limit) {
    int code = problem.getErrorCode() & 0xFF;
    std::string file = path.string();
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) return damaged_database(path, problem.what());
    if (is_transient(problem))
        return Error{
            ErrorCode::busy,
            fmt::format("the history {} was locked by another process for {}", file, format_duration(busy_limit)),
            nullptr};
    if (code == SQLITE_FULL || (code == SQLITE_IOERR && out_of_space(number)))
        return Error{ErrorCode::no_space, fmt::format("no space left to write the history {}", file), nullptr};
    if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM)
        return Error{ErrorCode::io,
                     fmt::format("cannot use the history {}: {}; the file and its folder must be writable for you",
                                 file, problem.what()),
                     nullptr};
    if (code == SQLITE_IOERR && number != 0) return errno_error(number, "the history " + file);
    ErrorCode kind = code == SQLITE_IOERR || code == SQLITE_NOMEM ? ErrorCode::io : ErrorCode::internal;
    return Error{kind, fmt::format("the history {}: {}", file, problem.what()), nullptr};
}

}  // namespace vmette::store
