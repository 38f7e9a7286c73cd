#include "store/run_row.h"

#include <vector>

#include "store/columns.h"
#include "store/values.h"

namespace vmette::store {
namespace {

/// Calls visit(column, member) for every column, in one order for binding, reading and the SQL text.
template <typename Record, typename Visitor>
void visit_columns(Record& run, Visitor&& visit) {
    visit("id", run.id);
    visit("name", run.name);
    visit("batch", run.batch);
    visit("job", run.job);
    visit("attempt", run.attempt);
    visit("status", run.status);
    visit("reason", run.reason);
    visit("exit_code", run.exit_code);
    visit("signal", run.signal);
    visit("started_before_failure", run.started_before_failure);
    visit("created_at", run.created_at);
    visit("started_at", run.started_at);
    visit("finished_at", run.finished_at);
    visit("resolve_ms", run.phases.resolve_ms);
    visit("prepare_ms", run.phases.prepare_ms);
    visit("boot_ms", run.phases.boot_ms);
    visit("ready_ms", run.phases.ready_ms);
    visit("exec_ms", run.phases.exec_ms);
    visit("collect_ms", run.phases.collect_ms);
    visit("teardown_ms", run.phases.teardown_ms);
    visit("image_source", run.image_source);
    visit("image_digest", run.image_digest);
    visit("image_provider", run.image_provider);
    visit("kernel_path", run.kernel_path);
    visit("kernel_digest", run.kernel_digest);
    visit("accel", run.accel);
    visit("warm", run.warm);
    visit("vcpus", run.vcpus);
    visit("memory_mib", run.memory_mib);
    visit("scratch_mib", run.scratch_mib);
    visit("cpu_ms", run.usage.cpu_ms);
    visit("peak_memory_bytes", run.usage.peak_memory_bytes);
    visit("scratch_bytes", run.usage.scratch_bytes);
    visit("net_rx_bytes", run.usage.net_rx_bytes);
    visit("net_tx_bytes", run.usage.net_tx_bytes);
    visit("stdout_bytes", run.usage.stdout_bytes);
    visit("stderr_bytes", run.usage.stderr_bytes);
    visit("stdout_dropped", run.usage.stdout_dropped);
    visit("stderr_dropped", run.usage.stderr_dropped);
    visit("net_mode", run.net_mode);
    visit("manifest_digest", run.manifest_digest);
    visit("log_stdout", run.log_stdout);
    visit("log_stderr", run.log_stderr);
    visit("log_console", run.log_console);
    visit("error", run.error);
    visit("owner_pid", run.owner.pid);
    visit("owner_start_ticks", run.owner.start_ticks);
    visit("owner_boot_id", run.owner.boot_id);
}

void bind_value(SQLite::Statement& statement, int index, RunStatus status) {
    bind_text(statement, index, to_string(status));
}

void read_value(const SQLite::Column& column, RunStatus& status) {
    auto parsed = parse_run_status(column.getString());
    if (!parsed) throw DamagedRow("a run has an unknown status");
    status = *parsed;
}

const ColumnTexts& texts() {
    static const ColumnTexts made = [] {
        ColumnTexts out;
        const RunRecord any;
        visit_columns(any, [&out](std::string_view name, const auto&) { out.add(name); });
        return out;
    }();
    return made;
}

template <typename Each>
void for_each_row(Database& database, const std::string& sql, std::int64_t key, Each&& each) {
    Query query(database.prepared(sql));
    query->bind(1, key);
    while (query->executeStep()) each(*query);
}

void remove_run_details(Database& database, std::int64_t key) {
    static const std::string kStatements[] = {"DELETE FROM run_labels WHERE run = ?1",
                                              "DELETE FROM run_denied WHERE run = ?1",
                                              "DELETE FROM run_artifacts WHERE run = ?1"};
    for (const std::string& sql : kStatements) for_each_row(database, sql, key, [](SQLite::Statement&) {});
}

}  // namespace

const std::string& run_columns() { return texts().names; }
const std::string& run_placeholders() { return texts().placeholders; }
const std::string& run_assignments() { return texts().assignments; }
int run_column_count() { return texts().count; }

void bind_run(SQLite::Statement& statement, const RunRecord& run) {
    int index = 0;
    visit_columns(run, [&](std::string_view, const auto& member) { bind_value(statement, ++index, member); });
}

RunRecord read_run(SQLite::Statement& statement, int first) {
    RunRecord run;
    int index = first;
    visit_columns(run, [&](std::string_view, auto& member) { read_value(statement.getColumn(index++), member); });
    return run;
}

void write_run_details(Database& database, std::int64_t key, const RunRecord& run) {
    remove_run_details(database, key);
    for (const auto& [label, value] : run.labels) {
        Query query(database.prepared("INSERT INTO run_labels VALUES (?1, ?2, ?3, ?4)"));
        query->bind(1, key);
        bind_text(*query, 2, label);
        bind_text(*query, 3, value);
        bind_value(*query, 4, run.created_at);
        query->executeStep();
    }
    for (std::int64_t position = 0; const Denied& denied : run.net_denied) {
        Query query(database.prepared("INSERT INTO run_denied VALUES (?1, ?2, ?3, ?4, ?5)"));
        query->bind(1, key);
        query->bind(2, position++);
        bind_text(*query, 3, denied.host);
        bind_value(*query, 4, denied.port);
        bind_value(*query, 5, denied.count);
        query->executeStep();
    }
    for (std::int64_t position = 0; const ArtifactRecord& artifact : run.artifacts) {
        Query query(database.prepared("INSERT INTO run_artifacts VALUES (?1, ?2, ?3, ?4, ?5)"));
        query->bind(1, key);
        query->bind(2, position++);
        bind_text(*query, 3, artifact.path);
        bind_value(*query, 4, artifact.bytes);
        bind_text(*query, 5, artifact.sha256);
        query->executeStep();
    }
}

void read_run_details(Database& database, std::int64_t key, RunRecord& run) {
    for_each_row(database, "SELECT label, value FROM run_labels WHERE run = ?1", key, [&](SQLite::Statement& row) {
        read_value(row.getColumn(1), run.labels[row.getColumn(0).getString()]);
    });
    for_each_row(database, "SELECT host, port, count FROM run_denied WHERE run = ?1 ORDER BY position", key,
                 [&](SQLite::Statement& row) {
                     Denied& denied = run.net_denied.emplace_back();
                     read_value(row.getColumn(0), denied.host);
                     read_value(row.getColumn(1), denied.port);
                     read_value(row.getColumn(2), denied.count);
                 });
    for_each_row(database, "SELECT path, bytes, sha256 FROM run_artifacts WHERE run = ?1 ORDER BY position", key,
                 [&](SQLite::Statement& row) {
                     ArtifactRecord& artifact = run.artifacts.emplace_back();
                     read_value(row.getColumn(0), artifact.path);
                     read_value(row.getColumn(1), artifact.bytes);
                     read_value(row.getColumn(2), artifact.sha256);
                 });
}

std::string select_runs(bool with_manifest) {
    return fmt::format("SELECT key, {}, {} FROM runs", run_columns(),
                       with_manifest ? "(SELECT manifest FROM run_manifests WHERE run = key)" : "NULL");
}

RunRecord read_selected_run(Database& database, SQLite::Statement& row) {
    RunRecord run = read_run(row, 1);
    read_value(row.getColumn(1 + run_column_count()), run.manifest);
    read_run_details(database, row.getColumn(0).getInt64(), run);
    return run;
}

}  // namespace vmette::store
