#include "scheduler/verdict.h"

#include <gtest/gtest.h>

#include <csignal>

namespace vmette::scheduler {
namespace {

Ending command_ended(vm::CommandEnd end) {
    Ending ending;
    ending.cause = Event::exited;
    ending.command = end;
    ending.began = true;
    return ending;
}

TEST(VerdictTest, ExitCodeOfTheCommandIsOurs) {
    Verdict zero = judge(command_ended({false, 0, false}));
    EXPECT_EQ(zero.status, store::RunStatus::succeeded);
    EXPECT_EQ(zero.reason, "exited");
    EXPECT_EQ(zero.exit_code, 0);
    EXPECT_EQ(zero.command_code, 0);
    Verdict other = judge(command_ended({false, 42, false}));
    EXPECT_EQ(other.status, store::RunStatus::failed);
    EXPECT_EQ(other.reason, "exited");
    EXPECT_EQ(other.exit_code, 42);
    EXPECT_FALSE(other.started_before_failure);
    EXPECT_EQ(other.error, "");
}

TEST(VerdictTest, SignalInTheGuestIs128PlusItsNumber) {
    Verdict verdict = judge(command_ended({true, SIGSEGV, false}));
    EXPECT_EQ(verdict.reason, "signaled");
    EXPECT_EQ(verdict.exit_code, 128 + SIGSEGV);
    EXPECT_EQ(verdict.signal, SIGSEGV);
    EXPECT_FALSE(verdict.command_code.has_value());
}

TEST(VerdictTest, OutOfMemoryIsToldFromAPlainKill) {
    Verdict verdict = judge(command_ended({true, SIGKILL, true}));
    EXPECT_EQ(verdict.reason, "oom");
    EXPECT_EQ(verdict.exit_code, 137);
    EXPECT_EQ(verdict.error, "the guest's memory ran out; raise limits.memory");
}

TEST(VerdictTest, CommandThatSurvivedTheKillOfAChildHasExited) {
    EXPECT_EQ(judge(command_ended({false, 0, true})).reason, "exited");
}

TEST(VerdictTest, TimeoutKeepsTheCommandsOwnEndBesideIt) {
    Ending ending = command_ended({true, SIGTERM, false});
    ending.cause = Event::command_timeout;
    ending.limit = std::chrono::seconds(2);
    Verdict verdict = judge(ending);
    EXPECT_EQ(verdict.reason, "timeout");
    EXPECT_EQ(verdict.exit_code, 124);
    EXPECT_EQ(verdict.signal, SIGTERM);
    EXPECT_TRUE(verdict.started_before_failure);
    EXPECT_EQ(verdict.error, "the command ran longer than 2s");
}

TEST(VerdictTest, IdleIs124WithItsOwnReason) {
    Ending ending;
    ending.cause = Event::idle_timeout;
    ending.began = true;
    ending.limit = std::chrono::seconds(30);
    Verdict verdict = judge(ending);
    EXPECT_EQ(verdict.reason, "idle");
    EXPECT_EQ(verdict.exit_code, 124);
    EXPECT_EQ(verdict.error, "the command wrote nothing for 30s");
}

TEST(VerdictTest, BootTimeoutIsTheMachinesFaultAndSafeToRetry) {
    Ending ending;
    ending.cause = Event::boot_timeout;
    ending.limit = std::chrono::seconds(30);
    Verdict verdict = judge(ending);
    EXPECT_EQ(verdict.reason, "vm-error");
    EXPECT_EQ(verdict.exit_code, 125);
    EXPECT_FALSE(verdict.started_before_failure);
    EXPECT_EQ(verdict.error, "the guest was not ready within 30s (limits.boot_timeout) (before the command began)");
}

TEST(VerdictTest, DeathOfTheMachineAfterTheStartLeavesTheOutcomeUnknown) {
    Ending ending;
    ending.cause = Event::death;
    ending.began = true;
    ending.death = vm::Death{vm::DeathKind::guest_panicked, "the guest's kernel panicked"};
    Verdict verdict = judge(ending);
    EXPECT_EQ(verdict.reason, "vm-error");
    EXPECT_TRUE(verdict.started_before_failure);
    EXPECT_EQ(verdict.error, "the guest's kernel panicked (after the command began)");
}

TEST(VerdictTest, SignalsToVmetteAreStopped) {
    for (auto [signal, code] : {std::pair{SIGINT, 130}, {SIGTERM, 143}, {SIGHUP, 143}}) {
        Ending ending;
        ending.cause = Event::stop;
        ending.stop_signal = signal;
        Verdict verdict = judge(ending);
        EXPECT_EQ(verdict.status, store::RunStatus::stopped);
        EXPECT_EQ(verdict.reason, "stopped");
        EXPECT_EQ(verdict.exit_code, code);
    }
}

TEST(VerdictTest, CommandThatIsNotThereOrCannotBeExecuted) {
    for (auto [kind, code] :
         {std::pair{vm::GuestFailureKind::not_found, 127}, {vm::GuestFailureKind::not_executable, 126}}) {
        Ending ending;
        ending.cause = Event::guest_failure;
        ending.guest_failure = vm::GuestFailure{kind, "nope"};
        Verdict verdict = judge(ending);
        EXPECT_EQ(verdict.reason, "exec-error");
        EXPECT_EQ(verdict.exit_code, code);
        EXPECT_EQ(verdict.error, "nope");
    }
}

TEST(VerdictTest, FailureBeforeTheMachineKeepsItsReasonAndCauses) {
    Ending ending;
    ending.host_failure = Error{ErrorCode::bad_image, "r.tar is not a tar archive", nullptr};
    ending.host_failure_reason = "image-error";
    Verdict verdict = judge(ending);
    EXPECT_EQ(verdict.reason, "image-error");
    EXPECT_EQ(verdict.exit_code, 125);
    EXPECT_EQ(verdict.error, "r.tar is not a tar archive");
}

}  // namespace
}  // namespace vmette::scheduler
