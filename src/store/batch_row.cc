#include "store/batch_row.h"

#include "base/text.h"
#include "store/values.h"

namespace vmette::store {
namespace {

void bind_value(SQLite::Statement& statement, int index, BatchStatus status) {
    bind_text(statement, index, to_string(status));
}

void read_value(const SQLite::Column& column, BatchStatus& status) {
    auto parsed = parse_batch_status(column.getString());
    if (!parsed) throw DamagedRow("a batch has an unknown status");
    status = *parsed;
}

template <typename Record, typename Visitor>
void visit_batch(Record& batch, Visitor&& visit) {
    visit("id", batch.id);
    visit("name", batch.name);
    visit("status", batch.status);
    visit("created_at", batch.created_at);
    visit("finished_at", batch.finished_at);
    visit("file", batch.file);
    visit("manifest_digest", batch.manifest_digest);
    visit("rules", batch.rules);
    visit("results", batch.results);
    visit("jobs", batch.jobs);
    visit("owner_pid", batch.owner.pid);
    visit("owner_start_ticks", batch.owner.start_ticks);
    visit("owner_boot_id", batch.owner.boot_id);
}

template <typename Record, typename Visitor>
void visit_job(Record& job, Visitor&& visit) {
    visit("position", job.index);
    visit("name", job.name);
    visit("job_group", job.group);
    visit("priority", job.priority);
    visit("needs", job.needs);
    visit("retry", job.retry);
    visit("cache", job.cache);
    visit("memory_mib", job.memory_mib);
    visit("vcpus", job.vcpus);
    visit("scratch_mib", job.scratch_mib);
    visit("state", job.state);
    visit("attempts", job.attempts);
    visit("not_before", job.not_before);
    visit("reason", job.reason);
    visit("exit_code", job.exit_code);
    visit("run_id", job.run_id);
    visit("detail", job.detail);
    visit("started_at", job.started_at);
    visit("finished_at", job.finished_at);
    visit("reused", job.reused);
}

/// A million needs of one job.
constexpr std::size_t kLongestNeeds = 8 << 20;

}  // namespace

const ColumnTexts& batch_columns() {
    static const ColumnTexts made = [] {
        ColumnTexts out;
        const BatchRecord any;
        visit_batch(any, [&out](std::string_view name, const auto&) { out.add(name); });
        return out;
    }();
    return made;
}

void bind_batch(SQLite::Statement& statement, const BatchRecord& batch) {
    int index = 0;
    visit_batch(batch, [&](std::string_view, const auto& member) { bind_value(statement, ++index, member); });
}

const ColumnTexts& job_columns() {
    static const ColumnTexts made = [] {
        ColumnTexts out(2);
        const JobRecord any;
        visit_job(any, [&out](std::string_view name, const auto&) { out.add(name); });
        return out;
    }();
    return made;
}

void bind_job(SQLite::Statement& statement, const JobRecord& job) {
    int index = 1;
    visit_job(job, [&](std::string_view, const auto& member) { bind_value(statement, ++index, member); });
}

JobRecord read_job(SQLite::Statement& row) {
    JobRecord job;
    int index = 0;
    visit_job(job, [&](std::string_view, auto& member) { read_value(row.getColumn(index++), member); });
    if (job.needs.size() > kLongestNeeds) throw DamagedRow(fmt::format("job {} has too many needs", job.index));
    return job;
}

void bind_value(SQLite::Statement& statement, int index, JobState state) {
    bind_text(statement, index, to_string(state));
}

void read_value(const SQLite::Column& column, JobState& state) {
    auto parsed = parse_job_state(column.getString());
    if (!parsed) throw DamagedRow("a job has an unknown state");
    state = *parsed;
}

void bind_identity(SQLite::Statement& statement, int first, const ProcessIdentity& identity) {
    bind_value(statement, first, identity.pid);
    bind_value(statement, first + 1, identity.start_ticks);
    bind_value(statement, first + 2, identity.boot_id);
}

ProcessIdentity read_identity(SQLite::Statement& row, int first) {
    ProcessIdentity identity;
    read_value(row.getColumn(first), identity.pid);
    read_value(row.getColumn(first + 1), identity.start_ticks);
    read_value(row.getColumn(first + 2), identity.boot_id);
    return identity;
}

std::optional<BatchSize> batch_size(Database& database, std::string_view id) {
    Query query(
        database.prepared("SELECT key, jobs, (SELECT count(*) FROM batch_groups WHERE batch = key) FROM batches "
                          "WHERE id = ?1"));
    bind_text(*query, 1, id);
    if (!query->executeStep()) return std::nullopt;
    BatchSize size{query->getColumn(0).getInt64()};
    read_value(query->getColumn(1), size.jobs);
    read_value(query->getColumn(2), size.groups);
    return size;
}

std::string select_batches() { return fmt::format("SELECT key, {} FROM batches", batch_columns().names); }

FoundBatch read_selected_batch(Database& database, SQLite::Statement& row) {
    FoundBatch found;
    int index = 0;
    found.key = row.getColumn(index++).getInt64();
    visit_batch(found.record, [&](std::string_view, auto& member) { read_value(row.getColumn(index++), member); });
    Query query(database.prepared("SELECT name FROM batch_groups WHERE batch = ?1 ORDER BY position"));
    query->bind(1, found.key);
    while (query->executeStep()) read_value(query->getColumn(0), found.record.groups.emplace_back());
    return found;
}

std::optional<FoundBatch> one_batch(Database& database, std::string_view condition, std::string_view argument) {
    Query query(database.prepared(fmt::format("{} WHERE {}", select_batches(), condition)));
    bind_text(*query, 1, argument);
    if (!query->executeStep()) return std::nullopt;
    auto found = read_selected_batch(database, *query);
    Query text(database.prepared("SELECT manifest FROM batch_manifests WHERE batch = ?1"));
    text->bind(1, found.key);
    if (text->executeStep()) read_value(text->getColumn(0), found.record.manifest);
    return found;
}

Failure no_batch(std::string_view id) {
    return fail(ErrorCode::not_found, "the history has no batch {}", harmless_line(id, 80));
}

}  // namespace vmette::store
