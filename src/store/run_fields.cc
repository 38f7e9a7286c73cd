#include "store/run_fields.h"

#include <algorithm>

namespace vmette::store {

std::span<const RunField> run_fields() {
    using enum FieldKind;
    // The expressions are spelled as the indices have them.
    static constexpr RunField kFields[] = {
        {"id", "", text, "runs.id", false},
        {"name", "", text, "runs.name", false},
        {"batch", "", text, "runs.batch", false},
        {"job", "", text, "runs.job", false},
        {"attempt", "", number, "runs.attempt"},
        {"status", "", text, "runs.status", false},
        {"reason", "", text, "runs.reason", false},
        {"exit_code", "exit", number, "runs.exit_code"},
        {"signal", "", number, "runs.signal"},
        {"started_before_failure", "", boolean, "runs.started_before_failure"},
        {"created_at", "created", time, "runs.created_at"},
        {"started_at", "started", time, "runs.started_at"},
        {"finished_at", "finished", time, "runs.finished_at"},
        {"duration_ms", "duration", milliseconds, "(runs.finished_at - runs.created_at)"},
        {"phases.resolve_ms", "resolve", milliseconds, "runs.resolve_ms"},
        {"phases.prepare_ms", "prepare", milliseconds, "runs.prepare_ms"},
        {"phases.boot_ms", "boot", milliseconds, "runs.boot_ms"},
        {"phases.ready_ms", "ready", milliseconds, "runs.ready_ms"},
        {"phases.exec_ms", "exec", milliseconds, "runs.exec_ms"},
        {"phases.collect_ms", "collect", milliseconds, "runs.collect_ms"},
        {"phases.teardown_ms", "teardown", milliseconds, "runs.teardown_ms"},
        {"image.source", "image", text, "runs.image_source", false},
        {"image.digest", "", text, "runs.image_digest", false},
        {"image.provider", "", text, "runs.image_provider", false},
        {"kernel.path", "", text, "runs.kernel_path", false},
        {"kernel.digest", "", text, "runs.kernel_digest", false},
        {"accel", "", text, "runs.accel", false},
        {"warm", "", boolean, "runs.warm"},
        {"vcpus", "", number, "runs.vcpus"},
        {"memory_mib", "memory", mebibytes, "runs.memory_mib"},
        {"scratch_mib", "scratch", mebibytes, "runs.scratch_mib"},
        {"usage.cpu_ms", "cpu", milliseconds, "runs.cpu_ms"},
        {"usage.peak_memory_bytes", "peak_memory", bytes, "runs.peak_memory_bytes"},
        {"usage.scratch_bytes", "", bytes, "runs.scratch_bytes"},
        {"usage.net_rx_bytes", "", bytes, "runs.net_rx_bytes"},
        {"usage.net_tx_bytes", "", bytes, "runs.net_tx_bytes"},
        {"usage.stdout_bytes", "", bytes, "runs.stdout_bytes"},
        {"usage.stderr_bytes", "", bytes, "runs.stderr_bytes"},
        {"usage.stdout_dropped", "", bytes, "runs.stdout_dropped"},
        {"usage.stderr_dropped", "", bytes, "runs.stderr_dropped"},
        {"net.mode", "", text, "runs.net_mode", false},
        {"manifest_digest", "", text, "runs.manifest_digest", false},
        {"error", "", text, "runs.error", false},
    };
    return kFields;
}

const RunField* find_run_field(std::string_view name) {
    auto fields = run_fields();
    auto found = std::ranges::find_if(
        fields, [&](const RunField& field) { return field.name == name || (!name.empty() && field.alias == name); });
    return found == fields.end() ? nullptr : &*found;
}

std::vector<std::string_view> run_field_names() {
    std::vector<std::string_view> names;
    for (const RunField& field : run_fields()) {
        names.push_back(field.name);
        if (!field.alias.empty()) names.push_back(field.alias);
    }
    return names;
}

}  // namespace vmette::store
