#pragma once
/// A statement whose failures are values, for questions that are expected to fail: a user's own, and those to a damaged
/// file.

#include <sqlite3.h>

#include <string_view>

namespace vmette::store {

/// Owns it; `sql` must outlive the calls of tail().
class RawStatement {
public:
    RawStatement(sqlite3* db, std::string_view sql) {
        result_ = ::sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &statement_, &tail_);
    }
    RawStatement(const RawStatement&) = delete;
    RawStatement& operator=(const RawStatement&) = delete;
    ~RawStatement() { ::sqlite3_finalize(statement_); }

    /// Null when it could not be prepared, or there is nothing in it.
    sqlite3_stmt* get() const { return statement_; }
    int result() const { return result_; }  ///< of preparing it
    const char* tail() const { return tail_; }
    /// SQLITE_ROW, SQLITE_DONE, or an error: also when it could not be prepared.
    int step() { return statement_ == nullptr ? SQLITE_ERROR : ::sqlite3_step(statement_); }

private:
    sqlite3_stmt* statement_ = nullptr;
    const char* tail_ = nullptr;
    int result_ = SQLITE_OK;
};

}  // namespace vmette::store
