#include <algorithm>
#include <span>

#include "store/history.h"
#include "store/impl.h"
#include "store/lookup.h"
#include "store/run_fields.h"
#include "store/run_query.h"
#include "store/run_row.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// The run that `condition` (with ?1) selects, when there is one.
std::optional<RunRecord> one_run(Database& database, std::string_view condition, std::string_view argument) {
    Query query(database.prepared(fmt::format("{} WHERE {}", select_runs(true), condition)));
    bind_text(*query, 1, argument);
    if (!query->executeStep()) return std::nullopt;
    return read_selected_run(database, *query);
}

}  // namespace

Result<std::optional<RunRecord>> Store::get_run(std::string_view id) {
    Database& database = *impl_->database;
    return database.read([&] { return one_run(database, "id = ?1", id); });
}

Result<RunRecord> Store::find_run(std::string_view id_or_name) {
    if (id_or_name.empty()) return fail(ErrorCode::bad_input, "expected the id or the name of a run");
    Database& database = *impl_->database;
    std::vector<std::string> ids;
    VMETTE_TRY(auto found, database.read([&] {
        // As a whole it is an id or a name; only then the beginning of an id.
        std::string prefix = lower(id_or_name);
        auto run = one_run(database, "id = ?1", prefix);
        if (!run) run = one_run(database, "name = ?1 ORDER BY created_at DESC, key DESC LIMIT 1", id_or_name);
        if (run) return run;
        ids = ids_with_prefix(database, "runs", prefix);
        return ids.size() == 1 ? one_run(database, "id = ?1", ids.front()) : std::nullopt;
    }));
    if (found) return *std::move(found);
    return not_one("run", id_or_name, std::move(ids));
}

namespace {

/// The keys of the runs that fit, in their order.
Result<std::vector<std::int64_t>> keys_of(Database& database, const RunFilter& filter) {
    VMETTE_TRY(RunQuery query, query_of(filter));
    return database.guarded([&] {
        // Not kept: its text is different at almost every call.
        SQLite::Statement chosen(database.connection(), query.sql);
        query.bind(chosen);
        std::vector<std::int64_t> keys;
        while (chosen.executeStep()) keys.push_back(chosen.getColumn(0).getInt64());
        return keys;
    });
}

Result<std::vector<RunRecord>> runs_of(Database& database, std::span<const std::int64_t> keys) {
    return database.read([&] {
        Query row(database.prepared(fmt::format("{} WHERE key = ?1", select_runs(false))));
        std::vector<RunRecord> runs;
        for (std::int64_t key : keys) {
            row->bind(1, key);
            if (row->executeStep()) runs.push_back(read_selected_run(database, *row));
            row->reset();
        }
        return runs;
    });
}

}  // namespace

Result<std::vector<RunRecord>> Store::list_runs(const RunFilter& filter) {
    VMETTE_TRY(auto keys, keys_of(*impl_->database, filter));
    return runs_of(*impl_->database, keys);
}

namespace {

/// A reader that takes its time holds no transaction, which would keep the log from being folded into the file.
constexpr std::size_t kAtOnce = 256;

std::string select_values() {
    std::string columns;
    for (const RunField& field : run_fields())
        columns += field.kind == FieldKind::time
                       ? fmt::format("strftime('%Y-%m-%dT%H:%M:%fZ', {} / 1000.0, 'unixepoch'), ", field.sql)
                       : fmt::format("{}, ", field.sql);
    return fmt::format(
        "SELECT {}(SELECT json_group_object(label, value) FROM run_labels WHERE run = runs.key) FROM runs "
        "WHERE key = ?1",
        columns);
}

SqlValue value_of(const SQLite::Column& column) {
    if (column.isNull()) return {};
    if (column.isInteger()) return column.getInt64();
    if (column.isFloat()) return column.getDouble();
    return column.getString();
}

Result<std::vector<std::vector<SqlValue>>> values_of(Database& database, std::span<const std::int64_t> keys) {
    static const std::string kSelect = select_values();
    return database.read([&] {
        Query row(database.prepared(kSelect));
        std::vector<std::vector<SqlValue>> rows;
        for (std::int64_t key : keys) {
            row->bind(1, key);
            if (row->executeStep()) {
                auto& values = rows.emplace_back();
                for (int i = 0; i < row->getColumnCount(); ++i) values.push_back(value_of(row->getColumn(i)));
            }
            row->reset();
        }
        return rows;
    });
}

/// Calls `each` for what `read` gives of each page of the filter's keys.
template <typename Read, typename Each>
Result<> page_through(Database& database, const RunFilter& filter, Read&& read, Each&& each) {
    VMETTE_TRY(auto keys, keys_of(database, filter));
    std::span<const std::int64_t> left = keys;
    while (!left.empty()) {
        auto page = left.first(std::min(kAtOnce, left.size()));
        VMETTE_TRY(auto rows, read(database, page));
        for (const auto& row : rows)
            if (!each(row)) return {};
        left = left.subspan(page.size());
    }
    return {};
}

}  // namespace

Result<> History::each_run(const RunFilter& filter, const std::function<bool(const RunRecord&)>& each) {
    return page_through(*store_.impl_->database, filter, runs_of, each);
}

Result<> History::each_values(const RunFilter& filter, const std::function<bool(std::span<const SqlValue>)>& each) {
    return page_through(*store_.impl_->database, filter, values_of, each);
}

}  // namespace vmette::store
