#include "scheduler/verdict.h"

#include <csignal>

#include "scheduler/run.h"

namespace vmette::scheduler {
namespace {

Verdict failure(std::string reason, int exit_code, std::string error) {
    Verdict verdict;
    verdict.reason = std::move(reason);
    verdict.exit_code = exit_code;
    verdict.error = std::move(error);
    return verdict;
}

Verdict of_command(const vm::CommandEnd& end) {
    Verdict verdict;
    int code = static_cast<int>(end.code);
    if (end.oom && (end.signaled || code != 0)) {
        verdict = failure("oom", kExitOom, "the guest's memory ran out; raise limits.memory");
    } else if (end.signaled) {
        verdict = failure("signaled", kExitSignalBase + code, {});
    } else {
        verdict.reason = "exited";
        verdict.exit_code = code;
        if (code == 0) verdict.status = store::RunStatus::succeeded;
    }
    return verdict;
}

Verdict stopped(int signal, bool began) {
    Verdict verdict;
    verdict.status = store::RunStatus::stopped;
    verdict.reason = "stopped";
    verdict.exit_code = signal == SIGTERM || signal == SIGHUP ? kExitTerminated : kExitInterrupted;
    verdict.error = fmt::format("interrupted {}", began ? "while the command ran" : "before the command began");
    return verdict;
}

/// As a shell's exit code tells the two apart, so does the history's.
Verdict exec_error(int code, const std::string& message) {
    Verdict verdict = failure("exec-error", code, message);
    verdict.command_code = code;
    return verdict;
}

Verdict of_guest_failure(const vm::GuestFailure& failed, bool began) {
    switch (failed.kind) {
        case vm::GuestFailureKind::not_found:
            return exec_error(kExitNotFound, failed.message);
        case vm::GuestFailureKind::not_executable:
            return exec_error(kExitNotExecutable, failed.message);
        case vm::GuestFailureKind::protocol:
            return failure("vm-error", kExitFailure, failed.message);
        default:
            break;
    }
    return failure(began ? "vm-error" : "setup-error", kExitFailure, failed.message);
}

Verdict of_cause(const Ending& ending) {
    switch (*ending.cause) {
        case Event::exited:
            return of_command(ending.command.value_or(vm::CommandEnd{}));
        case Event::command_timeout:
            return failure("timeout", kExitTimeout,
                           fmt::format("the command ran longer than {}", format_duration(ending.limit)));
        case Event::idle_timeout:
            return failure("idle", kExitTimeout,
                           fmt::format("the command wrote nothing for {}", format_duration(ending.limit)));
        case Event::boot_timeout:
            return failure(
                "vm-error", kExitFailure,
                fmt::format("the guest was not ready within {} (limits.boot_timeout)", format_duration(ending.limit)));
        case Event::stop:
        case Event::stop_now:
            return stopped(ending.stop_signal, ending.began);
        case Event::guest_failure:
            if (ending.guest_failure) return of_guest_failure(*ending.guest_failure, ending.began);
            break;
        case Event::death:
            if (ending.death) return failure("vm-error", kExitFailure, ending.death->message);
            break;
        default:
            break;
    }
    return failure("vm-error", kExitFailure, fmt::format("ended by \"{}\"", to_string(*ending.cause)));
}

}  // namespace

Verdict judge(const Ending& ending) {
    Verdict verdict;
    if (ending.host_failure && ending.host_failure_reason == "stopped") {
        verdict = stopped(ending.stop_signal, ending.began);
    } else if (ending.host_failure) {
        verdict = failure(ending.host_failure_reason, kExitFailure, ending.host_failure->text());
    } else if (ending.cause) {
        verdict = of_cause(ending);
    } else {
        verdict = failure("vm-error", kExitFailure, "the run ended before the machine was started");
    }
    // The command's own end is kept beside a reason that overrules it.
    if (ending.command && ending.command->signaled) verdict.signal = static_cast<int>(ending.command->code);
    if (ending.command && !ending.command->signaled) verdict.command_code = static_cast<int>(ending.command->code);
    bool known_end = verdict.reason == "exited" || verdict.reason == "signaled";
    verdict.started_before_failure = ending.began && !known_end;
    // What is safe to retry is told apart from what is not, in words too.
    if (verdict.reason == "vm-error" || verdict.reason == "setup-error")
        verdict.error += ending.began ? " (after the command began)" : " (before the command began)";
    return verdict;
}

int exit_code_of(const store::RunRecord& record) {
    const std::string& reason = record.reason;
    if (reason == "exited" || reason == "exec-error") return record.exit_code.value_or(kExitFailure);
    if (reason == "signaled") return kExitSignalBase + record.signal.value_or(0);
    if (reason == "timeout" || reason == "idle") return kExitTimeout;
    if (reason == "oom") return kExitOom;
    if (reason == "stopped" || reason == "cancelled") return kExitTerminated;
    return kExitFailure;
}

}  // namespace vmette::scheduler
