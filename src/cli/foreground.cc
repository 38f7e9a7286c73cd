#include "cli/foreground.h"

#include <unistd.h>

#include <memory>

#include "base/log.h"
#include "base/text.h"
#include "cli/detach.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "manifest/load.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

/// Shows what happens, and gives the terminal to the guest for as long as the command runs.
class ForegroundObserver final : public scheduler::RunObserver {
public:
    ForegroundObserver(Context& context, bool raw_while_running)
        : console_(context.console()),
          raw_while_running_(raw_while_running),
          line_(context.console(), context.clock()) {}

    void on_phase(std::string_view phase) override {
        line_.clear();
        log(LogLevel::info, "phase {}", phase);
        // Not before the command runs: until then Ctrl-C must be ours.
        if (phase == "exec" && raw_while_running_) {
            raw_ = RawTerminal::enter(STDIN_FILENO);
        } else if (phase != "exec") {
            raw_.reset();
        }
        console_.set_raw(raw_ != nullptr);
    }
    void on_image_progress(const rootfs::Progress& progress) override { line_.update(progress); }
    void on_image_notice(std::string_view notice) override { line_.note(notice); }
    void on_warning(std::string_view message) override {
        line_.clear();
        console_.warning(message);
    }

private:
    Console& console_;
    bool raw_while_running_;
    ProgressLine line_;
    std::unique_ptr<RawTerminal> raw_;
};

scheduler::RunOptions run_options(const manifest::Sandbox& sandbox, const RunFlags& flags, const Console& console) {
    scheduler::RunOptions options;
    options.keep_logs = flags.keep_logs;
    options.offline = flags.offline;
    options.image_digest = flags.image_digest;
    options.vsock_command = flags.vsock_exec.value_or("");
    if (!flags.json) {
        options.stdout_fd = console.out_fd();
        options.stderr_fd = console.err_fd();
    } else if (flags.stream) {
        options.stdout_fd = options.stderr_fd = console.err_fd();
    }
    if (sandbox.tty || sandbox.stdin_source.mode == manifest::StdinMode::inherit) options.stdin_fd = STDIN_FILENO;
    return options;
}

}  // namespace

void say_reason(Console& console, const store::RunRecord& record) {
    if (record.reason == "exited") return;
    std::string why = record.error;
    if (why.empty() && record.signal) why = fmt::format("the command died of signal {}", *record.signal);
    if (why.empty()) why = "the run ended";
    // The verdict's own remark at the end and ours share one pair of parentheses.
    if (why.ends_with(" the command began)")) {
        why.pop_back();
        console.note(fmt::format("{}: {}; run {})", record.reason, why, record.id));
    } else {
        console.note(fmt::format("{}: {} (run {})", record.reason, why, record.id));
    }
}

const std::string_view kRunExitCodes =
    "0-255    the command's own\n"
    "128+N    the command died of signal N\n"
    "2        wrong usage or manifest; nothing was started\n"
    "124      a limit of time ended it\n"
    "125      vmette, the image or the VM failed; the message says whether the command had begun\n"
    "126/127  the command cannot be executed / is not there\n"
    "130/143  interrupted; a second Ctrl-C pulls the VM at once\n"
    "137      the guest's memory ran out under it";

void RunFlags::define(Arguments& arguments) {
    arguments.flag("--json", json, "print the finished run's document, and nothing else, on stdout");
    arguments.flag("--stream", stream, "with --json: what the command writes goes to stderr as it comes");
    arguments.flag("--keep-logs,!--no-keep-logs", keep_logs, "keep what the command wrote in the history (default)");
    arguments.flag("--offline", offline, "use what is in the cache and on this host alone");
    arguments.option("--vsock-exec", "CMD", vsock_exec,
                     "run CMD here, by sh, for each vsock-send of the guest: stdin is what it sends");
    arguments.flag("-d,--detach", detach, "print the run's id and return once its command runs");
}

Result<int> run_in_foreground(Context& context, const manifest::Sandbox& sandbox, const RunFlags& flags) {
    if (flags.stream && !flags.json) return fail(ErrorCode::bad_input, "--stream belongs to --json");
    // run_sandbox refuses these too; here nothing has been made yet, not even the database.
    auto missing = manifest::not_available_yet(sandbox);
    if (!missing.empty()) return fail(ErrorCode::unsupported, "{}", fmt::join(missing, "; "));
    if (flags.vsock_exec && flags.vsock_exec->empty()) return fail(ErrorCode::bad_input, "--vsock-exec: no command");
    if (flags.vsock_exec && sandbox.vm.vsock == manifest::VsockMode::off)
        return fail(ErrorCode::bad_input, "--vsock-exec: vm.vsock = false, so the guest can send nothing");
    for (const auto& secret : sandbox.secrets)
        if (!environment_variable(secret.env))
            return fail(ErrorCode::bad_input, "the secret {} comes from the variable {}, which is not set", secret.name,
                        secret.env);
    if (flags.detach) return run_detached(context, sandbox, flags);
    VMETTE_TRY(const Layout* layout, context.layout());
    VMETTE_TRY(store::Store * store, context.swept_store());
    auto providers = rootfs::Registry::with_builtin();
    scheduler::RunHost host{*layout, context.clock(), *store, providers};
    Console& console = context.console();
    auto outcome = [&] {
        ForegroundObserver observer(context, sandbox.tty && !flags.json);
        return scheduler::run_sandbox(host, sandbox, run_options(sandbox, flags, console), observer);
    }();
    console.set_raw(false);
    if (!outcome) return Failure(outcome.error());
    say_reason(console, outcome->record);
    if (flags.json) VMETTE_CHECK_OK(console.write(store::to_json(outcome->record) + "\n"));
    return outcome->exit_code;
}

}  // namespace vmette::cli
