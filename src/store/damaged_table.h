#pragma once
/// Reads the rows of a table whose pages are not all sound.

#include <sqlite3.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace vmette::store {

/// One table of a damaged file; `order` names the columns of its key ("rowid", or those of its primary key).
struct DamagedTable {
    std::string name, columns, order;
    bool has_rowid = true;
};

/// Reads every row that can be reached: in the order of the keys, past damaged pages by asking for the keys beyond them
/// one by one (tables with a rowid), or from either end and by an index that has them whole. Then some rows come more
/// than once. Bounded by the size of the file.
class DamagedReader {
public:
    explicit DamagedReader(sqlite3* db);

    /// `row` gets the statement, whose first column is the rowid when there is one.
    void each_row(const DamagedTable& table, const std::function<void(sqlite3_stmt*)>& row);
    /// Damaged places met so far.
    std::uint64_t gaps() const { return gaps_; }

private:
    enum class End { whole, damaged, bounded };
    using Row = std::function<void(sqlite3_stmt*)>;

    /// `from`: the rowid that the statement's ?1 is.
    End scan(const std::string& sql, std::optional<std::int64_t> from, const Row& row);
    void by_rowid(const DamagedTable& table, const Row& row);
    void by_every_way(const DamagedTable& table, const Row& row);
    std::int64_t highest_rowid(const DamagedTable& table);

    sqlite3* db_;
    std::uint64_t rows_left_ = 0, gaps_ = 0;
    std::int64_t last_ = 0;  ///< rowid of the last row read
};

}  // namespace vmette::store
