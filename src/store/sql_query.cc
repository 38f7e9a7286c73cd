#include "store/sql_query.h"

#include <sqlite3.h>

#include <chrono>
#include <set>
#include <tuple>

#include "base/text.h"
#include "store/database.h"
#include "store/lookup.h"
#include "store/migrate.h"
#include "store/raw_statement.h"
#include "store/store.h"

namespace vmette::store {
namespace {

using Steady = std::chrono::steady_clock;

/// Longer questions and values are nobody's; SQLite's own bounds are a thousand times these.
constexpr int kLongestSql = 64 << 10;
constexpr int kLongestValue = 1 << 20;

std::string text_of(const char* text) { return text != nullptr ? text : ""; }

/// What the connection may do, asked by SQLite for each thing that a statement would do. First it learns what the views
/// read; after that exactly this may be read, and only through a view. (A part of a question that bears a view's name
/// may read what that view reads: no more than the view shows.)
class Guard {
public:
    explicit Guard(sqlite3* db) : db_(db) { ::sqlite3_set_authorizer(db_, &Guard::record, this); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
        ::sqlite3_set_authorizer(db_, nullptr, nullptr);
        ::sqlite3_progress_handler(db_, 0, nullptr, nullptr);
    }

    /// `stored`: what the file has, in lower case.
    void enforce(Duration time, std::set<std::string> stored) {
        stored_ = std::move(stored);
        deadline_ = Steady::now() + time;
        ::sqlite3_set_authorizer(db_, &Guard::decide, this);
        // A thousand instructions of SQLite's machine take some microseconds.
        constexpr int kInstructions = 1000;
        ::sqlite3_progress_handler(db_, kInstructions, &Guard::interrupts, this);
    }
    bool is_over() const { return Steady::now() >= deadline_; }
    /// What a refused statement reached for; empty: none was.
    const std::string& refused() const { return refused_; }

private:
    static int record(void* self, int action, const char* table, const char* column, const char*, const char* view) {
        auto& guard = *static_cast<Guard*>(self);
        if (action != SQLITE_READ || view == nullptr) return SQLITE_OK;
        guard.reads_.emplace(view, text_of(table), text_of(column));
        guard.tables_.insert(text_of(table));
        return SQLITE_OK;
    }

    static int decide(void* self, int action, const char* first, const char* second, const char* schema,
                      const char* view) {
        auto& guard = *static_cast<Guard*>(self);
        // Small texts can ask for much work before the first step.
        if (guard.is_over()) return SQLITE_DENY;
        if (guard.allows(action, text_of(first), text_of(second), text_of(schema), text_of(view))) return SQLITE_OK;
        if (guard.refused_.empty())
            guard.refused_ = action == SQLITE_READ       ? fmt::format("the table {}", text_of(first))
                             : action == SQLITE_FUNCTION ? fmt::format("the function {}", text_of(second))
                                                         : "to change something";
        return SQLITE_DENY;
    }

    bool allows(int action, const std::string& table, const std::string& column, const std::string& schema,
                const std::string& view) const {
        if (action == SQLITE_SELECT || action == SQLITE_RECURSIVE) return true;
        if (action == SQLITE_FUNCTION) return column != "load_extension" && column != "fts3_tokenizer";
        if (action != SQLITE_READ) return false;
        if (schema == "temp") return true;  // the views alone are there
        // No column: how many rows there are, of what is no table of the file also when it is a part of the question.
        if (column.empty()) return tables_.contains(table) || !is_stored(table);
        return reads_.contains({view, table, column});
    }

    bool is_stored(const std::string& table) const {
        std::string name = lower(table);
        return name.starts_with("sqlite_") || name.starts_with("pragma_") || name == "dbstat" || stored_.contains(name);
    }

    static int interrupts(void* self) { return static_cast<Guard*>(self)->is_over() ? 1 : 0; }

    sqlite3* db_;
    std::set<std::tuple<std::string, std::string, std::string>> reads_;  ///< view, table, column
    std::set<std::string> tables_, stored_;
    Steady::time_point deadline_;
    std::string refused_;
};

SqlValue value_at(sqlite3_stmt* statement, int column) {
    switch (::sqlite3_column_type(statement, column)) {
        case SQLITE_NULL:
            return {};
        case SQLITE_INTEGER:
            return std::int64_t{::sqlite3_column_int64(statement, column)};
        case SQLITE_FLOAT:
            return ::sqlite3_column_double(statement, column);
        default:
            break;
    }
    const auto* bytes = static_cast<const char*>(::sqlite3_column_blob(statement, column));
    auto size = static_cast<std::size_t>(::sqlite3_column_bytes(statement, column));
    return bytes != nullptr ? std::string(bytes, size) : std::string();
}

void make_views(Database& database) {
    for (const SqlView& view : sql_views())
        database.execute(fmt::format("CREATE TEMP VIEW {} AS {}", view.name, view.definition).c_str());
    database.execute("PRAGMA query_only = 1");
    ::sqlite3_limit(database.handle(), SQLITE_LIMIT_SQL_LENGTH, kLongestSql);
    ::sqlite3_limit(database.handle(), SQLITE_LIMIT_LENGTH, kLongestValue);
    ::sqlite3_limit(database.handle(), SQLITE_LIMIT_ATTACHED, 0);
}

std::set<std::string> stored_names(Database& database) {
    SQLite::Statement query(database.connection(), "SELECT lower(name) FROM main.sqlite_schema");
    std::set<std::string> names;
    while (query.executeStep()) names.insert(query.getColumn(0).getString());
    return names;
}

/// One statement at work; what it throws and returns is for Database::guarded.
class Question {
public:
    Question(Database& database, Guard& guard, const SqlLimits& limits)
        : db_(database.handle()), guard_(guard), limits_(limits) {}

    Result<SqlResult> run(std::string_view sql,
                          const std::function<bool(const SqlResult&, std::span<const SqlValue>)>& row) {
        RawStatement statement(db_, sql);
        if (statement.result() != SQLITE_OK) return failed(statement.result());
        std::string_view tail(statement.tail(), static_cast<std::size_t>(sql.data() + sql.size() - statement.tail()));
        if (statement.get() == nullptr) return fail(ErrorCode::bad_input, "a SELECT is expected");
        if (tail.find_first_not_of(" \t\r\n;") != tail.npos)
            return fail(ErrorCode::bad_input, "one statement alone is expected; what follows it is \"{}\"",
                        harmless_line(tail, 40));
        SqlResult result;
        for (int column = 0; column < ::sqlite3_column_count(statement.get()); ++column)
            result.columns.push_back(text_of(::sqlite3_column_name(statement.get(), column)));
        VMETTE_CHECK_OK(each_row(statement.get(), result, row));
        return result;
    }

private:
    Result<> each_row(sqlite3_stmt* statement, SqlResult& result,
                      const std::function<bool(const SqlResult&, std::span<const SqlValue>)>& row) {
        std::vector<SqlValue> values(result.columns.size());
        int step = SQLITE_ROW;
        while ((step = ::sqlite3_step(statement)) == SQLITE_ROW) {
            // One function over long values is not interrupted.
            if (guard_.is_over()) return failed(SQLITE_INTERRUPT);
            if (limits_.rows != 0 && result.rows == limits_.rows) {
                result.cut = true;
                return {};
            }
            for (std::size_t i = 0; i < values.size(); ++i) values[i] = value_at(statement, static_cast<int>(i));
            ++result.rows;
            if (!row(result, values)) return {};
        }
        if (step != SQLITE_DONE) return failed(step);
        return {};
    }

    Failure failed(int code) const {
        if (guard_.is_over() && (code == SQLITE_INTERRUPT || code == SQLITE_AUTH))
            return fail(ErrorCode::timeout, "the query took longer than {}", human_duration(limits_.time));
        if (!guard_.refused().empty())
            return fail(ErrorCode::bad_input, "the query may only read the views of the history, and it wants {}",
                        harmless_line(guard_.refused(), 80));
        if (code == SQLITE_ERROR || code == SQLITE_TOOBIG || code == SQLITE_RANGE || code == SQLITE_MISMATCH)
            return fail(ErrorCode::bad_input, "{}", harmless_line(::sqlite3_errmsg(db_)));
        throw SQLite::Exception(db_, code);
    }

    sqlite3* db_;
    Guard& guard_;
    const SqlLimits& limits_;
};

}  // namespace

Result<SqlResult> run_sql(const std::filesystem::path& path, std::string_view sql, const SqlLimits& limits,
                          const std::function<bool(const SqlResult&, std::span<const SqlValue>)>& row) {
    if (sql.size() >= static_cast<std::size_t>(kLongestSql))
        return fail(ErrorCode::bad_input, "the query has {} bytes: at most {} are allowed", sql.size(),
                    kLongestSql - 1);
    VMETTE_TRY(auto database, Database::open(path, Database::Mode::read_only, Store::kBusyLimit));
    VMETTE_CHECK_OK(require_current(*database, migrations()));
    Guard guard(database->handle());
    auto prepared = database->guarded([&] {
        make_views(*database);
        for (const SqlView& view : sql_views())
            SQLite::Statement(database->connection(), fmt::format("SELECT * FROM {}", view.name));
        guard.enforce(limits.time, stored_names(*database));
    });
    VMETTE_CHECK_OK(prepared);
    auto answer = database->guarded([&] { return Question(*database, guard, limits).run(sql, row); });
    if (!answer) return Failure(answer.error());
    return *std::move(answer);
}

}  // namespace vmette::store
