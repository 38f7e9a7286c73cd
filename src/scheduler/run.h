#pragma once
/// The life of one run: manifest → image → machine → command → teardown, with every step recorded. This is where
/// manifest, rootfs, vm and store meet.

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/layout.h"
#include "manifest/sandbox.h"
#include "rootfs/provider.h"
#include "scheduler/stop.h"
#include "store/store.h"
#include "vm/session.h"

namespace vmette::scheduler {

/// The exit codes of vmette (the specification's table).
enum ExitCode : int {
    kExitUsage = 2,
    kExitTimeout = 124,
    kExitFailure = 125,
    kExitNotExecutable = 126,
    kExitNotFound = 127,
    kExitSignalBase = 128,
    kExitInterrupted = 130,
    kExitOom = 137,
    kExitTerminated = 143,
};

/// Where kernel and initramfs come from.
struct Assets {
    std::filesystem::path kernel, initramfs;
    bool kernel_has_timer_patch = false;
    bool kernel_has_mmio_cmdline = false;
    std::string origin;  ///< "vmette 6.1.x" or "debian cloud …", for people
};

/// VMETTE_ASSETS_DIR, else share/vmette/<arch> beside the binary's prefix, else the build tree. The folder holds
/// `vmlinux` (or `kernel/` links made by the build) and `initramfs.cpio`, with `assets.json` describing them.
/// `not_found` says which command makes them.
Result<Assets> find_assets();

/// What the person who waits is shown; called on the thread of run_sandbox.
class RunObserver {
public:
    virtual ~RunObserver() = default;
    virtual void on_phase(std::string_view phase) = 0;
    virtual void on_image_progress(const rootfs::Progress& progress) = 0;
    /// What is tried again to get the image, on one line.
    virtual void on_image_notice(std::string_view notice) = 0;
    virtual void on_warning(std::string_view message) = 0;
};

/// All that one run needs besides the manifest. Borrowed references outlive the call.
struct RunHost {
    const Layout& layout;
    const Clock& clock;
    store::Store& store;
    const rootfs::Registry& providers;
};

struct RunOptions {
    bool keep_logs = true;
    bool offline = false;
    /// Where the command's streams go as they come, beside the logs; -1: nowhere. Written without blocking the run: a
    /// reader that stops holds up the command in the guest (as a pipe would), never the run's time limits. With `tty`
    /// all of it goes to stdout_fd. Borrowed; their flags are restored.
    int stdout_fd = -1;
    int stderr_fd = -1;
    /// The command's stdin for StdinMode::inherit and tty; -1: none.
    int stdin_fd = -1;
    /// SIGINT, SIGTERM and SIGHUP of the calling thread end the run, SIGWINCH resizes its terminal; they are blocked in
    /// the thread meanwhile. False: signals are the caller's.
    bool handle_signals = true;
    /// Asks for the end in place of signals; borrowed. With it `handle_signals` means nothing.
    StopSource* stop = nullptr;
    /// The run fails, before anything is started, when no socket can be made by which others reach it.
    bool needs_clients = false;
    /// A line for /bin/sh, run on this host for each call that a program of the guest makes (docs/sessions.md); empty:
    /// clients of the run's socket take them.
    std::string vsock_command;
    std::string image_digest;  ///< "sha256:…": the run fails with any other image; empty: whatever the source names
    std::string run_id;        ///< a fresh ULID of the caller's; empty: one is made
    std::string batch, job;
    std::uint32_t attempt = 1;
};

/// Runs a sandbox to its end in the calling thread, and returns its finished record and exit code. The row is written
/// before anything else is made, and updated at each phase. SIGINT, SIGTERM and SIGHUP are handled while it runs: the
/// first ends the command with grace, a second SIGINT pulls the machine at once. Whatever happens, what the run made on
/// the host is gone when this returns. Errors of the run are part of the record; a Result error means that not even the
/// row could be written.
struct RunOutcome {
    store::RunRecord record;
    int exit_code = kExitFailure;
};
Result<RunOutcome> run_sandbox(const RunHost& host, const manifest::Sandbox& sandbox, const RunOptions& options,
                               RunObserver& observer);

/// What `vmette up` ended with, as far as the history tells: of a run that was interrupted, 143.
int exit_code_of(const store::RunRecord& record);

/// What `plan` shows: what would be run, without starting or making anything.
struct RunPlan {
    manifest::Sandbox sandbox;               ///< merged and resolved
    std::vector<std::string> qemu_argv;      ///< with placeholders where descriptors would stand
    std::vector<std::string> not_available;  ///< what would be refused
    std::string provider;
    Assets assets;
    vm::DeviceBudget devices;
};
Result<RunPlan> plan_run(const Layout& layout, const manifest::Sandbox& sandbox, const rootfs::Registry& providers,
                         store::Store* store);

/// One thing that a dead run left.
struct Leftover {
    std::string run_id;
    std::string what;
    std::string path;  ///< or "process 123"
    std::uint64_t bytes = 0;
    std::string problem;  ///< why it could not be removed; empty: removed (or would be)
};

/// Marks runs whose process is gone as lost and removes what they left. Safe at any time, from many processes.
Result<std::vector<Leftover>> sweep(const Layout& layout, store::Store& store, bool dry_run);

/// Of runs that the history does not know, because it was damaged or removed, the logs are kept so long: they may be
/// all that is left of them.
constexpr std::chrono::days kForgottenLogsKept{30};
/// Removes such logs of runs that were made before `now` less that. Asks the history for each folder that is as old.
Result<std::vector<Leftover>> sweep_forgotten_logs(const Layout& layout, store::Store& store, WallTime now,
                                                   bool dry_run);

}  // namespace vmette::scheduler
