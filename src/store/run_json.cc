#include <cmath>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "store/store.h"

namespace vmette::store {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(to_valid_utf8(text)); }

Json time_or_null(const std::optional<WallTime>& time) { return time ? Json(format_rfc3339(*time)) : Json(nullptr); }

Json number_or_null(const std::optional<int>& number) { return number ? Json(*number) : Json(nullptr); }

/// Microseconds are as fine as a phase can mean anything.
Json phase(const std::optional<double>& milliseconds) {
    return milliseconds ? Json(std::round(*milliseconds * 1000) / 1000) : Json(nullptr);
}

Json phases_json(const Phases& phases) {
    return {{"resolve_ms", phase(phases.resolve_ms)},  {"prepare_ms", phase(phases.prepare_ms)},
            {"boot_ms", phase(phases.boot_ms)},        {"ready_ms", phase(phases.ready_ms)},
            {"exec_ms", phase(phases.exec_ms)},        {"collect_ms", phase(phases.collect_ms)},
            {"teardown_ms", phase(phases.teardown_ms)}};
}

Json usage_json(const Usage& usage) {
    return {{"cpu_ms", usage.cpu_ms},
            {"peak_memory_bytes", usage.peak_memory_bytes},
            {"scratch_bytes", usage.scratch_bytes},
            {"net_rx_bytes", usage.net_rx_bytes},
            {"net_tx_bytes", usage.net_tx_bytes},
            {"stdout_bytes", usage.stdout_bytes},
            {"stderr_bytes", usage.stderr_bytes},
            {"stdout_dropped", usage.stdout_dropped},
            {"stderr_dropped", usage.stderr_dropped}};
}

Json net_json(const RunRecord& run) {
    Json denied = Json::array();
    for (const Denied& one : run.net_denied)
        denied.push_back({{"host", to_valid_utf8(one.host)}, {"port", one.port}, {"count", one.count}});
    return {{"mode", text_or_null(run.net_mode)}, {"denied", std::move(denied)}};
}

Json labels_json(const std::map<std::string, std::string>& labels) {
    Json object = Json::object();
    for (const auto& [label, value] : labels) object[to_valid_utf8(label)] = to_valid_utf8(value);
    return object;
}

Json artifacts_json(const std::vector<ArtifactRecord>& artifacts) {
    Json list = Json::array();
    for (const ArtifactRecord& one : artifacts)
        list.push_back({{"path", to_valid_utf8(one.path)}, {"bytes", one.bytes}, {"sha256", text_or_null(one.sha256)}});
    return list;
}

/// From the row's first instant to its last: what the user waited.
Json duration_json(const RunRecord& run) {
    if (!run.finished_at) return nullptr;
    return (*run.finished_at - run.created_at).count();
}

}  // namespace

std::string to_json(const RunRecord& run, int indent) {
    Json document = {
        {"id", text_or_null(run.id)},
        {"name", text_or_null(run.name)},
        {"batch", text_or_null(run.batch)},
        {"job", text_or_null(run.job)},
        {"attempt", run.attempt},
        {"status", to_string(run.status)},
        {"reason", text_or_null(run.reason)},
        {"exit_code", number_or_null(run.exit_code)},
        {"signal", number_or_null(run.signal)},
        {"started_before_failure", run.started_before_failure},
        {"created_at", format_rfc3339(run.created_at)},
        {"started_at", time_or_null(run.started_at)},
        {"finished_at", time_or_null(run.finished_at)},
        {"duration_ms", duration_json(run)},
        {"phases", phases_json(run.phases)},
        {"image",
         {{"source", text_or_null(run.image_source)},
          {"digest", text_or_null(run.image_digest)},
          {"provider", text_or_null(run.image_provider)}}},
        {"kernel", {{"path", text_or_null(run.kernel_path)}, {"digest", text_or_null(run.kernel_digest)}}},
        {"accel", text_or_null(run.accel)},
        {"warm", run.warm},
        {"vcpus", run.vcpus},
        {"memory_mib", run.memory_mib},
        {"scratch_mib", run.scratch_mib},
        {"usage", usage_json(run.usage)},
        {"net", net_json(run)},
        {"labels", labels_json(run.labels)},
        {"manifest_digest", text_or_null(run.manifest_digest)},
        {"artifacts", artifacts_json(run.artifacts)},
        {"logs",
         {{"stdout", text_or_null(run.log_stdout)},
          {"stderr", text_or_null(run.log_stderr)},
          {"console", text_or_null(run.log_console)}}},
        {"error", text_or_null(run.error)},
    };
    return harmless_json(document.dump(indent < 0 ? -1 : indent));
}

}  // namespace vmette::store
