#include "store/sql_query.h"

namespace vmette::store {

std::span<const SqlView> sql_views() {
    // Times as the documents have them, so that they sort and compare as text and SQLite's date functions read them.
#define VMETTE_TIME(column) "strftime('%Y-%m-%dT%H:%M:%fZ', " #column " / 1000.0, 'unixepoch') AS " #column
    static constexpr SqlView kViews[] = {
        {"runs",
         "SELECT id, name, batch, job, attempt, status, reason, exit_code, signal, "
         "started_before_failure, " VMETTE_TIME(created_at) ", " VMETTE_TIME(started_at) ", " VMETTE_TIME(
             finished_at) ", "
                          "finished_at - created_at AS duration_ms, resolve_ms, prepare_ms, boot_ms, ready_ms, "
                          "exec_ms, collect_ms, "
                          "teardown_ms, image_source, image_digest, image_provider, kernel_path, kernel_digest, accel, "
                          "warm, vcpus, "
                          "memory_mib, scratch_mib, cpu_ms, peak_memory_bytes, scratch_bytes, net_rx_bytes, "
                          "net_tx_bytes, "
                          "stdout_bytes, stderr_bytes, stdout_dropped, stderr_dropped, net_mode, manifest_digest, "
                          "error "
                          "FROM main.runs"},
        {"labels",
         "SELECT runs.id AS run_id, run_labels.label AS name, run_labels.value AS value "
         "FROM main.run_labels JOIN main.runs ON runs.key = run_labels.run"},
        {"artifacts",
         "SELECT runs.id AS run_id, run_artifacts.path AS path, run_artifacts.bytes AS bytes, "
         "run_artifacts.sha256 AS sha256 FROM main.run_artifacts JOIN main.runs ON runs.key = run_artifacts.run"},
        {"denied",
         "SELECT runs.id AS run_id, run_denied.host AS host, run_denied.port AS port, run_denied.count AS count "
         "FROM main.run_denied JOIN main.runs ON runs.key = run_denied.run"},
        {"batches", "SELECT id, name, status, " VMETTE_TIME(created_at) ", " VMETTE_TIME(
                        finished_at) ", file, manifest_digest, jobs FROM main.batches"},
        {"jobs",
         "SELECT batches.id AS batch, batch_jobs.position AS position, batch_jobs.name AS name, "
         "batch_jobs.state AS state, batch_jobs.attempts AS attempts, batch_jobs.reason AS reason, "
         "batch_jobs.exit_code AS exit_code, batch_jobs.run_id AS run_id, batch_jobs.detail AS detail "
         "FROM main.batch_jobs JOIN main.batches ON batches.key = batch_jobs.batch"},
    };
#undef VMETTE_TIME
    return kViews;
}

}  // namespace vmette::store
