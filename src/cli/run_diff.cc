#include "cli/run_diff.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "manifest/load.h"

namespace vmette::cli {
namespace {

using store::RunRecord;
using Value = std::optional<std::string>;

Value text(const std::string& value) { return value.empty() ? Value() : Value(value); }

class Differences {
public:
    void add(std::string key, Value a, Value b) {
        if (a != b) found_.push_back({std::move(key), std::move(a), std::move(b), {}, false});
    }
    void add_number(std::string key, std::optional<double> a, std::optional<double> b) {
        if (a == b) return;
        auto shown = [](const std::optional<double>& value) {
            return value ? Value(fmt::format("{}", *value)) : Value();
        };
        Difference difference{std::move(key), shown(a), shown(b), {}, true};
        if (a && b && *a > 0) difference.change = *b / *a - 1;
        found_.push_back(std::move(difference));
    }
    std::vector<Difference> take() { return std::move(found_); }

private:
    std::vector<Difference> found_;
};

/// The keys of a manifest that say what is run.
std::map<std::string, std::string> keys_of(const RunRecord& run) {
    std::map<std::string, std::string> keys;
    for (auto& [key, value] : manifest::flat_keys(std::string_view(run.manifest)))
        if (!key.starts_with("metadata.")) keys.insert_or_assign(std::move(key), std::move(value));
    return keys;
}

/// Variables hold what is nobody's business: that a value differs is told, not which it is.
void add_manifest(Differences& out, const std::map<std::string, std::string>& a,
                  const std::map<std::string, std::string>& b) {
    std::map<std::string, std::pair<Value, Value>> both;
    for (const auto& [key, value] : a) both[key].first = value;
    for (const auto& [key, value] : b) both[key].second = value;
    for (auto& [key, values] : both) {
        auto& [of_a, of_b] = values;
        if (of_a == of_b) continue;
        if (key.starts_with("env.")) {
            bool changed = of_a && of_b;
            if (of_a) of_a = changed ? "(one value)" : "(set)";
            if (of_b) of_b = changed ? "(another value)" : "(set)";
        }
        out.add(key, of_a, of_b);
    }
}

std::vector<Difference> inputs_of(const RunRecord& a, const RunRecord& b) {
    Differences out;
    out.add("image.digest", text(a.image_digest), text(b.image_digest));
    out.add("kernel.digest", text(a.kernel_digest), text(b.kernel_digest));
    out.add("accel", text(a.accel), text(b.accel));
    out.add("warm", a.warm ? "true" : "false", b.warm ? "true" : "false");
    add_manifest(out, keys_of(a), keys_of(b));
    return out.take();
}

std::optional<double> duration_of(const RunRecord& run) {
    if (!run.finished_at) return std::nullopt;
    return static_cast<double>((*run.finished_at - run.created_at).count());
}

void add_phases(Differences& out, const store::Phases& a, const store::Phases& b) {
    out.add_number("phases.resolve_ms", a.resolve_ms, b.resolve_ms);
    out.add_number("phases.prepare_ms", a.prepare_ms, b.prepare_ms);
    out.add_number("phases.boot_ms", a.boot_ms, b.boot_ms);
    out.add_number("phases.ready_ms", a.ready_ms, b.ready_ms);
    out.add_number("phases.exec_ms", a.exec_ms, b.exec_ms);
    out.add_number("phases.collect_ms", a.collect_ms, b.collect_ms);
    out.add_number("phases.teardown_ms", a.teardown_ms, b.teardown_ms);
}

void add_usage(Differences& out, const store::Usage& a, const store::Usage& b) {
    auto add = [&](const char* key, std::uint64_t of_a, std::uint64_t of_b) {
        out.add_number(key, static_cast<double>(of_a), static_cast<double>(of_b));
    };
    add("usage.cpu_ms", a.cpu_ms, b.cpu_ms);
    add("usage.peak_memory_bytes", a.peak_memory_bytes, b.peak_memory_bytes);
    add("usage.scratch_bytes", a.scratch_bytes, b.scratch_bytes);
    add("usage.net_rx_bytes", a.net_rx_bytes, b.net_rx_bytes);
    add("usage.net_tx_bytes", a.net_tx_bytes, b.net_tx_bytes);
    add("usage.stdout_bytes", a.stdout_bytes, b.stdout_bytes);
    add("usage.stderr_bytes", a.stderr_bytes, b.stderr_bytes);
}

void add_artifacts(Differences& out, const RunRecord& a, const RunRecord& b) {
    std::map<std::string, std::pair<Value, Value>> both;
    for (const auto& one : a.artifacts) both["artifacts." + one.path].first = one.sha256;
    for (const auto& one : b.artifacts) both["artifacts." + one.path].second = one.sha256;
    for (const auto& [key, digests] : both) out.add(key, digests.first, digests.second);
}

std::vector<Difference> results_of(const RunRecord& a, const RunRecord& b) {
    Differences out;
    out.add("status", std::string(to_string(a.status)), std::string(to_string(b.status)));
    out.add("reason", text(a.reason), text(b.reason));
    auto code = [](const std::optional<int>& value) { return value ? Value(fmt::to_string(*value)) : Value(); };
    out.add("exit_code", code(a.exit_code), code(b.exit_code));
    out.add("signal", code(a.signal), code(b.signal));
    out.add("error", text(a.error), text(b.error));
    out.add_number("duration_ms", duration_of(a), duration_of(b));
    add_phases(out, a.phases, b.phases);
    add_usage(out, a.usage, b.usage);
    add_artifacts(out, a, b);
    return out.take();
}

}  // namespace

RunDiff diff_runs(const RunRecord& a, const RunRecord& b) { return {inputs_of(a, b), results_of(a, b)}; }

}  // namespace vmette::cli
