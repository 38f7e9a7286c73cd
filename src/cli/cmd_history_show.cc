/// vmette history show: one run in full.

#include "base/text.h"
#include "cli/harmless_stream.h"
#include "cli/image_text.h"
#include "cli/times.h"
#include "cli/verbs.h"
#include "manifest/load.h"

namespace vmette::cli {
namespace {

/// Lines of "name  value" for people; empty values are left out.
class Sheet {
public:
    void line(std::string_view name, std::string_view value) {
        if (!value.empty()) text_ += fmt::format("{:<12}  {}\n", name, harmless_line(value, 4000));
    }
    const std::string& text() const { return text_; }

private:
    std::string text_;
};

std::string phases_text(const store::Phases& phases) {
    std::string text;
    auto add = [&](std::string_view name, const std::optional<double>& ms) {
        if (ms) text += fmt::format("{}{} {:.0f} ms", text.empty() ? "" : ", ", name, *ms);
    };
    add("resolve", phases.resolve_ms);
    add("prepare", phases.prepare_ms);
    add("boot", phases.boot_ms);
    add("ready", phases.ready_ms);
    add("exec", phases.exec_ms);
    add("collect", phases.collect_ms);
    add("teardown", phases.teardown_ms);
    return text;
}

std::string stream_text(std::uint64_t bytes, std::uint64_t dropped) {
    std::string text = human_size(bytes);
    if (dropped > 0) text += fmt::format(" ({} beyond the limit were not kept)", human_size(dropped));
    return text;
}

/// "1 vcpu", "2 vcpus".
std::string counted(std::uint64_t count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

void add_end(Sheet& sheet, const store::RunRecord& run) {
    std::string status(to_string(run.status));
    if (!run.reason.empty()) status += fmt::format(" ({})", run.reason);
    if (run.exit_code) status += fmt::format(", exit code {}", *run.exit_code);
    if (run.signal) status += fmt::format(", signal {}", *run.signal);
    sheet.line("status", status);
    sheet.line("error", run.error);
    bool outcome_known = run.exit_code || run.signal;
    if (!run.error.empty() && run.started_before_failure && !outcome_known)
        sheet.line("", "the command had begun: its outcome is unknown");
}

void add_usage(Sheet& sheet, const store::RunRecord& run) {
    const auto& usage = run.usage;
    sheet.line("cpu time", fmt::format("{} ms", usage.cpu_ms));
    sheet.line("peak memory", human_size(usage.peak_memory_bytes));
    sheet.line("scratch used", human_size(usage.scratch_bytes));
    if (run.usage.net_rx_bytes + run.usage.net_tx_bytes > 0)
        sheet.line("network",
                   fmt::format("{} received, {} sent", human_size(usage.net_rx_bytes), human_size(usage.net_tx_bytes)));
    sheet.line("stdout", stream_text(usage.stdout_bytes, usage.stdout_dropped));
    sheet.line("stderr", stream_text(usage.stderr_bytes, usage.stderr_dropped));
}

/// As it stands in the manifest; without one there, the image's own ran.
std::string command_text(const store::RunRecord& run) {
    if (run.manifest.empty()) return "";
    for (const auto& [key, value] : manifest::flat_keys(run.manifest))
        if (key == "exec") return value;
    return "the image's own";
}

/// What the registry knows the image by, while the cache knows which it is.
Result<std::string> registry_digest_of(store::Store& store, const store::RunRecord& run) {
    if (run.image_digest.empty()) return std::string();
    VMETTE_TRY(auto sources, store.image_sources(run.image_digest));
    for (const auto& source : sources)
        if (source.source == full_name(run.image_source)) return registry_digest(source);
    return std::string();
}

std::string render(const store::RunRecord& run, const std::string& registry_digest, WallTime now) {
    Sheet sheet;
    sheet.line("id", run.id);
    sheet.line("name", run.name);
    if (!run.batch.empty()) sheet.line("batch", fmt::format("{}, job {}, attempt {}", run.batch, run.job, run.attempt));
    sheet.line("command", command_text(run));
    add_end(sheet, run);
    sheet.line("created", fmt::format("{} ({} ago)", format_rfc3339(run.created_at), age(run.created_at, now)));
    if (run.started_at) sheet.line("started", format_rfc3339(*run.started_at));
    if (run.finished_at) sheet.line("finished", format_rfc3339(*run.finished_at));
    sheet.line("phases", phases_text(run.phases));
    sheet.line("image", run.image_source);
    sheet.line("", run.image_digest);
    sheet.line("registry", registry_digest);
    sheet.line("kernel", run.kernel_path);
    sheet.line("", run.kernel_digest);
    sheet.line("machine", fmt::format("{}, {} MiB memory, {} MiB scratch, net {}, {}{}", counted(run.vcpus, "vcpu"),
                                      run.memory_mib, run.scratch_mib, run.net_mode,
                                      run.accel.empty() ? "no accelerator" : run.accel, run.warm ? ", warm" : ""));
    add_usage(sheet, run);
    for (const auto& denied : run.net_denied)
        sheet.line("denied", fmt::format("{}:{} ({})", denied.host, denied.port, counted(denied.count, "time")));
    for (const auto& [key, value] : run.labels) sheet.line("label", fmt::format("{}={}", key, value));
    for (const auto& artifact : run.artifacts)
        sheet.line("artifact", fmt::format("{} ({}, {})", artifact.path, human_size(artifact.bytes), artifact.sha256));
    sheet.line("stdout log", run.log_stdout);
    sheet.line("stderr log", run.log_stderr);
    sheet.line("console log", run.log_console);
    sheet.line("manifest", run.manifest_digest);
    return sheet.text();
}

class HistoryShowCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "an id, the beginning of one, or a name (its newest run)");
        id.required = true;
        id.completes = Completes::runs;
        arguments.flag("--json", json_, "print the run's document");
        arguments.flag("--manifest", manifest_, "print the resolved manifest that was run");
    }

    Result<int> run(Context& context) override {
        if (json_ && manifest_) return fail(ErrorCode::bad_input, "--json and --manifest exclude each other");
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto run, store->find_run(*id_));
        VMETTE_TRY(std::string registry_digest, registry_digest_of(*store, run));
        std::string text = json_       ? store::to_json(run) + "\n"
                           : manifest_ ? run.manifest
                                       : render(run, registry_digest, context.clock().now());
        VMETTE_CHECK_OK(write_foreign(context.console(), text));
        return 0;
    }

private:
    std::optional<std::string> id_;
    bool json_ = false, manifest_ = false;
};

}  // namespace

const Verb kHistoryShowVerb{
    .name = "history show",
    .summary = "show one run in full",
    .example = "vmette history show hello --json",
    .exit_codes = "0  shown\n1  there is no such run\n2  wrong usage, or several runs fit",
    .make = make_command<HistoryShowCommand>,
};

}  // namespace vmette::cli
