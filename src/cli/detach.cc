#include "cli/detach.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "base/digest.h"
#include "base/log.h"
#include "cli/progress.h"
#include "scheduler/run.h"
#include "scheduler/signals.h"

namespace vmette::cli {
namespace {

constexpr char kReady = 'R';
/// Followed by the exit code.
constexpr char kFailed = 'F';

/// Puts /dev/null in the place of a standard descriptor.
void blank(int fd) {
    int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return;
    ::dup2(null, fd);  // not close-on-exec, as standard descriptors are not
    if (null != fd) ::close(null);
}

/// Tells the starter when the command runs; from then on there is nobody to tell anything.
class DetachedObserver final : public scheduler::RunObserver {
public:
    DetachedObserver(Context& context, Fd starter)
        : console_(context.console()), line_(context.console(), context.clock()), starter_(std::move(starter)) {}

    void on_phase(std::string_view phase) override {
        line_.clear();
        log(LogLevel::info, "phase {}", phase);
        if (phase != "exec" || !starter_) return;
        tell({&kReady, 1});
        blank(STDERR_FILENO);
        console_.set_quiet(true);
        // What starting took is not needed while it waits, perhaps for weeks.
        ::malloc_trim(0);
    }
    void on_image_progress(const rootfs::Progress& progress) override { line_.update(progress); }
    void on_image_notice(std::string_view notice) override { line_.note(notice); }
    void on_warning(std::string_view message) override {
        line_.clear();
        console_.warning(message);
    }
    void failed(int exit_code) {
        const char message[] = {kFailed, static_cast<char>(exit_code)};
        tell({message, sizeof message});
    }

private:
    void tell(std::string_view message) {
        // A starter that was killed has left a run that `ps` shows.
        if (!starter_) return;
        [[maybe_unused]] auto told = write_all(starter_.get(), message);
        starter_.reset();
    }

    Console& console_;
    ProgressLine line_;
    Fd starter_;
};

/// All that the starter had open is not ours: a pipe of its shell's would never end.
Result<Fd> leave_everything(Fd starter) {
    constexpr int kKept = 3;
    if (starter.get() != kKept) {
        if (::dup3(starter.get(), kKept, O_CLOEXEC) < 0) return fail_errno("keep a descriptor");
        (void)starter.release();  // closed below, with all others
        starter = Fd(kKept);
    }
    if (::close_range(kKept + 1, ~0U, 0) != 0) return fail_errno("close what is not ours");
    if (::setsid() < 0) return fail_errno("leave the session");
    blank(STDIN_FILENO);
    blank(STDOUT_FILENO);
    return starter;
}

/// The supervisor's whole life.
int supervise(Context& context, const manifest::Sandbox& sandbox, const RunFlags& flags, const std::string& run_id,
              Fd starter) {
    auto kept = leave_everything(std::move(starter));
    if (!kept) {
        context.console().error(kept.error().text());
        return scheduler::kExitFailure;
    }
    DetachedObserver observer(context, *std::move(kept));
    auto outcome = [&]() -> Result<scheduler::RunOutcome> {
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(store::Store * store, context.swept_store());
        auto providers = rootfs::Registry::with_builtin();
        scheduler::RunHost host{*layout, context.clock(), *store, providers};
        scheduler::RunOptions options;
        options.keep_logs = flags.keep_logs;
        options.offline = flags.offline;
        options.image_digest = flags.image_digest;
        options.vsock_command = flags.vsock_exec.value_or("");
        options.needs_clients = true;
        options.run_id = run_id;
        return scheduler::run_sandbox(host, sandbox, options, observer);
    }();
    if (!outcome) context.console().error(outcome.error().text());
    if (outcome) say_reason(context.console(), outcome->record);
    int code = outcome ? outcome->exit_code : int{scheduler::kExitFailure};
    observer.failed(code);
    return code;
}

/// Passes signals on to the supervisor until it has answered.
Result<int> await_ready(Console& console, pid_t supervisor, const Fd& answer, scheduler::SignalQueue& signals,
                        const std::string& run_id) {
    for (;;) {
        pollfd waits[] = {{answer.get(), POLLIN, 0}, {signals.fd(), POLLIN, 0}};
        if (::poll(waits, 2, -1) < 0 && errno != EINTR) return fail_errno("wait for the run");
        while (auto number = signals.take())
            if (*number != SIGWINCH) ::kill(supervisor, *number);
        if (waits[0].revents == 0) continue;
        char message[2] = {};
        ssize_t count = ::read(answer.get(), message, sizeof message);
        if (count < 0 && errno == EINTR) continue;
        if (count > 0 && message[0] == kReady) {
            auto written = console.write(run_id + "\n");
            if (!written) return fail(written.error().code, "run {} is on: {}", run_id, written.error().text());
            return 0;
        }
        int status = 0;
        ::waitpid(supervisor, &status, 0);
        if (count == 2) return static_cast<unsigned char>(message[1]);
        return fail(ErrorCode::vm, "the process of run {} {}", run_id, describe_status(status));
    }
}

}  // namespace

Result<int> run_detached(Context& context, const manifest::Sandbox& sandbox, const RunFlags& flags) {
    if (flags.json) return fail(ErrorCode::bad_input, "--json prints a finished run, which --detach does not wait for");
    if (sandbox.tty)
        return fail(ErrorCode::bad_input,
                    "a detached run has no terminal: leave `tty` out; `vmette shell ID` opens one in it");
    if (sandbox.stdin_source.mode == manifest::StdinMode::inherit)
        return fail(ErrorCode::bad_input, "a detached run has no stdin to inherit");
    VMETTE_TRY(const Layout* layout, context.layout());
    VMETTE_CHECK_OK(make_private_dir(layout->state));
    std::string run_id = make_ulid(context.clock().now().time_since_epoch().count());
    VMETTE_TRY(auto ends, make_pipe());
    // SQLite's connections do not go through a fork, and the child closes every descriptor.
    context.close_store();
    VMETTE_TRY(auto opened, scheduler::SignalQueue::open());
    std::optional<scheduler::SignalQueue> signals(std::move(opened));
    pid_t supervisor = ::fork();
    if (supervisor < 0) return fail_errno("start a process for the run");
    if (supervisor == 0) {
        signals.reset();
        ends[0].reset();
        ::_exit(supervise(context, sandbox, flags, run_id, std::move(ends[1])));
    }
    ends[1].reset();
    return await_ready(context.console(), supervisor, ends[0], *signals, run_id);
}

}  // namespace vmette::cli
