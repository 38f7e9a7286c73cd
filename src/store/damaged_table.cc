#include "store/damaged_table.h"

#include <limits>

#include <fmt/format.h>

#include "store/raw_statement.h"

namespace vmette::store {
namespace {

/// Where a damaged file does not tell its highest key, so many beyond the last one read are tried: the rows of a page
/// that holds pointers to pages are fewer.
constexpr std::int64_t kKeysBeyond = 100'000;
/// Keys asked for one by one, some microseconds each, of one table.
constexpr std::int64_t kMostProbes = 5'000'000;

/// A row takes four bytes of its file at least; pages that point in circles would give rows for ever.
std::uint64_t most_rows(sqlite3* db) {
    constexpr std::uint64_t kLeast = 1 << 16, kBytesOfRow = 4, kWays = 3;
    RawStatement pages(db, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    if (pages.step() != SQLITE_ROW) return kLeast;
    return static_cast<std::uint64_t>(::sqlite3_column_int64(pages.get(), 0)) / kBytesOfRow * kWays + kLeast;
}

}  // namespace

DamagedReader::DamagedReader(sqlite3* db) : db_(db), rows_left_(most_rows(db)) {}

DamagedReader::End DamagedReader::scan(const std::string& sql, std::optional<std::int64_t> from, const Row& row) {
    RawStatement statement(db_, sql);
    if (from) ::sqlite3_bind_int64(statement.get(), 1, *from);
    while (true) {
        int step = statement.step();
        if (step == SQLITE_DONE) return End::whole;
        if (step != SQLITE_ROW) return End::damaged;
        if (rows_left_ == 0) return End::bounded;
        --rows_left_;
        if (from) {
            std::int64_t key = ::sqlite3_column_int64(statement.get(), 0);
            // Pages out of order: as good as unreadable.
            if (key < *from) return End::damaged;
            last_ = key;
            from = key == std::numeric_limits<std::int64_t>::max() ? key : key + 1;
        }
        row(statement.get());
    }
}

std::int64_t DamagedReader::highest_rowid(const DamagedTable& table) {
    RawStatement highest(db_, fmt::format("SELECT rowid FROM {} NOT INDEXED ORDER BY rowid DESC LIMIT 1", table.name));
    if (highest.step() == SQLITE_ROW) return ::sqlite3_column_int64(highest.get(), 0);
    return last_ > std::numeric_limits<std::int64_t>::max() - kKeysBeyond ? last_ : last_ + kKeysBeyond;
}

void DamagedReader::by_rowid(const DamagedTable& table, const Row& row) {
    auto onwards =
        fmt::format("SELECT {} FROM {} NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid", table.columns, table.name);
    End end = scan(onwards, std::numeric_limits<std::int64_t>::min(), row);
    if (end != End::damaged) return;
    // Keys are 1 and up, whatever the first page says.
    if (last_ < 0) last_ = 0;
    std::int64_t highest = highest_rowid(table), probes = kMostProbes;
    RawStatement probe(db_, fmt::format("SELECT rowid FROM {} NOT INDEXED WHERE rowid = ?1", table.name));
    while (end == End::damaged) {
        ++gaps_;
        std::int64_t key = last_;
        int found = SQLITE_DONE;
        while (found != SQLITE_ROW && key < highest && probes-- > 0) {
            ::sqlite3_reset(probe.get());
            ::sqlite3_bind_int64(probe.get(), 1, ++key);
            found = probe.step();
        }
        if (found != SQLITE_ROW) return;
        // From the row that was found on; where it cannot be read itself, from the next.
        end = scan(onwards, key, row);
        if (last_ < key) last_ = key;
    }
}

void DamagedReader::by_every_way(const DamagedTable& table, const Row& row) {
    // Without an order SQLite takes an index that has all columns, where there is one; with an order, the table.
    auto all = fmt::format("SELECT {} FROM {} NOT INDEXED", table.columns, table.name);
    if (scan(all, std::nullopt, row) != End::damaged) return;
    ++gaps_;
    std::string falling = table.order;
    constexpr std::string_view kFalls = " DESC";
    for (std::size_t at = 0; (at = falling.find(',', at)) != falling.npos; at += kFalls.size() + 1)
        falling.insert(at, kFalls);
    if (scan(fmt::format("{} ORDER BY {}", all, table.order), std::nullopt, row) != End::damaged) return;
    scan(fmt::format("{} ORDER BY {}{}", all, falling, kFalls), std::nullopt, row);
}

void DamagedReader::each_row(const DamagedTable& table, const Row& row) {
    if (table.has_rowid)
        by_rowid(table, row);
    else
        by_every_way(table, row);
}

}  // namespace vmette::store
