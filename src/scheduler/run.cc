#include "scheduler/run.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "manifest/load.h"
#include "scheduler/calls/command_desk.h"
#include "scheduler/calls/socket_desk.h"
#include "scheduler/host.h"
#include "scheduler/live/server.h"
#include "scheduler/machine.h"
#include "scheduler/machine_run.h"
#include "scheduler/output_index.h"
#include "scheduler/record_end.h"
#include "scheduler/resolve_image.h"
#include "scheduler/signals.h"
#include "scheduler/verdict.h"
#include "vm/vsock.h"

namespace vmette::scheduler {
namespace {

std::optional<std::string> process_environment(const std::string& name) {
    const char* value = ::getenv(name.c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

/// The row as it is before anything happened.
store::RunRecord new_record(const RunHost& host, const manifest::Sandbox& sandbox, const RunOptions& options) {
    store::RunRecord record;
    record.created_at = host.clock.now();
    record.id = options.run_id.empty() ? make_ulid(record.created_at.time_since_epoch().count()) : options.run_id;
    record.name = sandbox.name;
    record.batch = options.batch;
    record.job = options.job;
    record.attempt = options.attempt;
    record.image_source = sandbox.rootfs.source;
    record.vcpus = sandbox.limits.vcpus;
    record.memory_mib = sandbox.limits.memory / kMiB;
    record.scratch_mib = sandbox.rootfs.read_only ? 0 : sandbox.scratch / kMiB;
    record.net_mode = sandbox.net.mode == manifest::NetMode::nat ? "nat" : "none";
    record.labels = sandbox.labels;
    record.manifest = manifest::to_toml(sandbox);
    record.manifest_digest = "sha256:" + sha256_hex(record.manifest);
    record.owner = own_identity();
    if (options.keep_logs) {
        auto folder = host.layout.run_dir(record.id);
        record.log_stdout = folder / "stdout.log";
        record.log_stderr = folder / "stderr.log";
        record.log_console = folder / "console.log";
    }
    return record;
}

/// Everything between the row's first and last write. A failure is a pair of reason and error.
class RunJob {
public:
    RunJob(const RunHost& host, const manifest::Sandbox& sandbox, const RunOptions& options, RunObserver& observer,
           StopSource* signals)
        : host_(host),
          sandbox_(sandbox),
          options_(options),
          observer_(observer),
          signals_(signals),
          record_(new_record(host, sandbox, options)) {}

    Result<RunOutcome> run() {
        VMETTE_CHECK_OK(host_.store.insert_run(record_));
        open_to_clients();
        Ending ending = perform();
        Verdict verdict = judge(ending);
        record_.status = verdict.status;
        record_.reason = verdict.reason;
        record_.exit_code = verdict.command_code;
        record_.signal = verdict.signal;
        record_.started_before_failure = verdict.started_before_failure;
        record_.error = verdict.error;
        if (record_.error.empty()) record_.error = late_problem_;
        record_.finished_at = host_.clock.now();
        if (auto written = record_end(host_.store, record_); !written)
            observer_.on_warning(written.error().because("the history could not be updated").text());
        else if (auto indexed = index_output(host_.layout, host_.store, record_); !indexed)
            observer_.on_warning(indexed.error().because("what the run wrote cannot be searched for").text());
        close_to_clients(verdict.exit_code);
        return RunOutcome{record_, verdict.exit_code};
    }

private:
    Ending failed(std::string reason, Error error) {
        Ending ending;
        if (error.code == ErrorCode::cancelled) reason = "stopped";
        ending.stop_signal = signals_ != nullptr ? signals_->requested() : 0;
        ending.host_failure = std::move(error);
        ending.host_failure_reason = std::move(reason);
        return ending;
    }

    /// A run that cannot be reached runs all the same, unless its caller has no other way to it.
    void open_to_clients() {
        store::LedgerEntry entry;
        entry.run_id = record_.id;
        entry.kind = store::LedgerKind::directory;
        entry.path = host_.layout.live_dir(record_.id);
        entry.what = "the run's runtime folder";
        auto owed = host_.store.ledger_add(entry);
        if (!owed) {
            clients_problem_ = owed.error();
            return;
        }
        ledger_id_ = *owed;
        auto server = live::Server::open(io_, host_.layout, record_.id);
        if (server)
            clients_ = *std::move(server);
        else
            clients_problem_ = server.error();
        if (clients_problem_ && !options_.needs_clients)
            observer_.on_warning(clients_problem_->because("no other terminal can reach this run").text());
        if (!clients_problem_) open_to_calls();
    }

    void open_to_calls() {
        if (sandbox_.vm.vsock == manifest::VsockMode::off) return;
        if (!options_.vsock_command.empty()) {
            desk_ = std::make_unique<calls::CommandDesk>(
                io_, options_.vsock_command, record_.id,
                [this](const std::string& warning) { observer_.on_warning(warning); });
            return;
        }
        auto desk = calls::SocketDesk::open(io_, host_.layout, record_.id);
        if (desk)
            desk_ = *std::move(desk);
        else
            observer_.on_warning(desk.error().because("nobody can take what the guest sends to the host").text());
    }

    void close_to_clients(int exit_code) {
        desk_.reset();
        if (clients_) clients_->tell_end(exit_code);
        clients_.reset();
        if (!ledger_id_) return;
        if (auto removed = host_.store.ledger_remove(*ledger_id_); !removed)
            log(LogLevel::warn, "{}", removed.error().text());
    }

    bool stop_requested() const { return signals_ != nullptr && signals_->end_requested(); }

    /// Every step up to the machine, each with the reason that its failure means.
    Ending perform() {
        auto begin = host_.clock.monotonic();
        if (clients_problem_ && options_.needs_clients) return failed("setup-error", *clients_problem_);
        observer_.on_phase("resolve");
        auto root = resolve_root();
        if (!root) return failed("image-error", root.error());
        record_.phases.resolve_ms = lap(begin);
        observer_.on_phase("prepare");
        auto assets = chosen_assets(sandbox_.vm, find_assets());
        if (!assets) return failed("vm-error", assets.error());
        auto spec = machine_spec(sandbox_, *root, *assets, record_.id);
        if (!spec) return failed("setup-error", spec.error());
        if (auto accel = choose(*assets, *spec); !accel) return failed("vm-error", accel.error());
        auto setup = guest_setup(sandbox_, host_.layout, process_environment);
        if (!setup) return failed("setup-error", setup.error());
        auto command = guest_command(sandbox_, root->config, record_.id, options_.job, process_environment);
        if (!command) return failed("setup-error", command.error());
        if (options_.keep_logs)
            if (auto made = make_private_dir(host_.layout.run_dir(record_.id)); !made)
                return failed("setup-error", made.error());
        if (stop_requested()) return failed("stopped", Error{ErrorCode::cancelled, "interrupted", nullptr});

        MachineRun machine({host_, sandbox_, options_, observer_, signals_, io_, clients_.get(), desk_.get()}, record_,
                           *spec, *setup, *command, begin);
        Ending ending = machine.run();
        late_problem_ = machine.late_problem();
        return ending;
    }

    Result<rootfs::Resolved> resolve_root() {
        auto request = image_request(sandbox_, options_.offline);
        request.digest = options_.image_digest;
        request.progress = [this](const rootfs::Progress& progress) { observer_.on_image_progress(progress); };
        request.notice = [this](std::string_view notice) { observer_.on_image_notice(notice); };
        request.cancelled = [this] { return stop_requested(); };
        VMETTE_TRY(auto root, resolve_image(host_.layout, host_.store, host_.clock, host_.providers, request));
        record_.image_digest = root.digest;
        record_.image_provider = root.provider;
        return root;
    }

    Result<> choose(const Assets& assets, vm::VmSpec& spec) {
        VMETTE_TRY(record_.kernel_digest, remembered_digest(host_.store, assets.kernel));
        record_.kernel_path = assets.kernel;
        VMETTE_TRY(auto choice, choose_accel(host_.layout, host_.store, sandbox_.vm.accel, assets,
                                             record_.kernel_digest, Probing::allowed));
        log(LogLevel::info, "accelerator {} ({})", vm::to_string(choice.accel), choice.detail);
        spec.accel = choice.accel;
        spec.tsc_khz = choice.tsc_khz;
        record_.accel = vm::to_string(choice.accel);
        spec.vsock = wants_vsock(sandbox_, spec) && vm::vsock_available();
        if (spec.shares.empty() && spec.root.source != vm::RootSource::directory) return {};
        VMETTE_TRY(spec.share_transport, remembered_share_transport(host_.store));
        return {};
    }

    /// Milliseconds since `from`, which is moved to now.
    double lap(MonotonicTime& from) const {
        auto now = host_.clock.monotonic();
        double elapsed = std::chrono::duration<double, std::milli>(now - from).count();
        from = now;
        return elapsed;
    }

    const RunHost& host_;
    const manifest::Sandbox& sandbox_;
    const RunOptions& options_;
    RunObserver& observer_;
    StopSource* signals_;
    store::RunRecord record_;
    std::string late_problem_;
    asio::io_context io_{1};
    std::unique_ptr<live::Server> clients_;
    std::unique_ptr<calls::Desk> desk_;
    std::optional<Error> clients_problem_;
    std::optional<std::int64_t> ledger_id_;
};

}  // namespace

Result<RunOutcome> run_sandbox(const RunHost& host, const manifest::Sandbox& sandbox, const RunOptions& options,
                               RunObserver& observer) {
    if (!options.vsock_command.empty() && sandbox.vm.vsock == manifest::VsockMode::off)
        return fail(ErrorCode::bad_input,
                    "there is a command for what the guest sends to the host, and vm.vsock = false");
    auto missing = manifest::not_available_yet(sandbox);
    if (!missing.empty()) return fail(ErrorCode::unsupported, "{}", fmt::join(missing, "; "));
    std::optional<SignalQueue> signals;
    if (options.stop == nullptr && options.handle_signals) {
        VMETTE_TRY(auto opened, SignalQueue::open());
        signals.emplace(std::move(opened));
    }
    RunJob job(host, sandbox, options, observer, signals ? &*signals : options.stop);
    return job.run();
}

}  // namespace vmette::scheduler
