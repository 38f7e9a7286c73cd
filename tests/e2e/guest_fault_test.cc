#include <sys/stat.h>

#include <csignal>

#include "e2e/guest_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

class GuestFaultTest : public HelpersTest {
protected:
    /// A command that says "on" and stays.
    VmetteProcess lasting(const std::string& toml = "") {
        auto process = home().start(home().up_shell(toml, "echo on; while :; do sleep 0.2; done"));
        EXPECT_TRUE(process.until_out("on\n")) << process.err();
        return process;
    }
    void expect_vm_error(const Finished& finished, const std::string& message) {
        EXPECT_EQ(finished.code, 125) << finished;
        EXPECT_THAT(finished.err, HasSubstr(message)) << finished;
        Json run = home().last_run();
        EXPECT_EQ(run["status"], "failed");
        EXPECT_EQ(run["reason"], "vm-error");
        EXPECT_EQ(run["started_before_failure"], true);
        EXPECT_THAT(run["error"].get<std::string>(), EndsWith("(after the command began)"));
        EXPECT_THAT(home().leftovers(), IsEmpty());
    }
    /// The time from the command's "now" to vmette's end.
    Finished end_after_now(const std::string& line, Duration limit) {
        auto process = home().start(home().up_shell("", "echo now; " + line + "; sleep 60"));
        EXPECT_TRUE(process.until_out("now\n")) << process.err();
        auto now = std::chrono::steady_clock::now();
        auto finished = process.finish(seconds(30));
        EXPECT_LT(std::chrono::steady_clock::now() - now, limit) << finished;
        return finished;
    }
};

TEST_F(GuestFaultTest, PanicIsSeenWithinASecond) {
    auto finished = end_after_now("echo c > /proc/sysrq-trigger", Duration(1500));
    expect_vm_error(finished, "the guest's kernel panicked: Kernel panic - not syncing: sysrq triggered crash");
    // What the kernel said is in the console's log.
    EXPECT_THAT(home().vmette({"history", "logs", "box", "--console"}).out, HasSubstr("sysrq triggered crash"));
}

TEST_F(GuestFaultTest, RebootIsSeenWithinASecond) {
    expect_vm_error(end_after_now("reboot -f", Duration(1500)), "the guest rebooted while its command was not done");
}

TEST_F(GuestFaultTest, FloodedConsoleIsBoundedAndHoldsUpNothing) {
    auto finished = shell(
        "cat /dev/urandom > /dev/console & cat /dev/zero > /dev/console & "
        "for i in 1 2 3 4 5; do echo tick $i; sleep 0.4; done; kill %1 %2; exit 6",
        "[limits]\ntimeout = \"30s\"\n");
    EXPECT_EQ(finished.code, 6) << finished;
    EXPECT_EQ(finished.out, "tick 1\ntick 2\ntick 3\ntick 4\ntick 5\n");
    EXPECT_THAT(finished.err, Not(HasSubstr("has not answered")));
    EXPECT_LT(finished.took, seconds(20));
    EXPECT_LT(finished.peak_rss_kib, 64u * 1024);
    Json run = home().last_run();
    EXPECT_LE(std::filesystem::file_size(run["logs"]["console"].get<std::string>()), (1u << 20) + 200);
}

TEST_F(GuestFaultTest, FloodedKernelLogHoldsUpNothing) {
    auto finished = shell("yes '<0>flood' > /dev/kmsg & for i in 1 2 3; do echo tick $i; sleep 0.4; done; kill %1");
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(finished.out, "tick 1\ntick 2\ntick 3\n");
    EXPECT_LE(std::filesystem::file_size(home().last_run()["logs"]["console"].get<std::string>()), (1u << 20) + 200);
}

TEST_F(GuestFaultTest, InitCannotBeKilledFromInside) {
    auto finished = shell("kill -KILL 1; kill -TERM 1; kill -SEGV 1; killall5 -9 2>/dev/null; echo alive; exit 8");
    EXPECT_EQ(finished.code, 8) << finished;
    EXPECT_EQ(finished.out, "alive\n");
}

TEST_F(GuestFaultTest, MachineThatStandsStillIsReportedWithinASecondAndGoesOn) {
    auto process = home().start(home().up_shell("[limits]\ntimeout = \"60s\"\n", "echo on; sleep 3; echo off"));
    ASSERT_TRUE(process.until_out("on\n")) << process.err();
    auto qemu = find_descendant(process.pid(), "qemu-system");
    ASSERT_TRUE(qemu) << describe(descendants(process.pid()));
    auto stopped = std::chrono::steady_clock::now();
    ::kill(static_cast<pid_t>(qemu->identity.pid), SIGSTOP);
    EXPECT_TRUE(process.until_err("vmette: warning: the guest has not answered for a second\n", seconds(5)));
    EXPECT_LT(std::chrono::steady_clock::now() - stopped, Duration(2000));
    ::kill(static_cast<pid_t>(qemu->identity.pid), SIGCONT);
    auto finished = process.finish(seconds(30));
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(finished.out, "on\noff\n");
}

TEST_F(GuestFaultTest, MachineThatStandsStillForGoodIsEnded) {
    auto process = lasting();
    auto qemu = find_descendant(process.pid(), "qemu-system");
    ASSERT_TRUE(qemu);
    ::kill(static_cast<pid_t>(qemu->identity.pid), SIGSTOP);
    auto finished = process.finish(seconds(20));
    expect_vm_error(finished, "vm-error: the guest has been silent for 10 s");
    EXPECT_TRUE(survivors({*qemu}).empty());
}

TEST_F(GuestFaultTest, KilledQemuIsNamed) {
    auto process = lasting();
    auto qemu = find_descendant(process.pid(), "qemu-system");
    ASSERT_TRUE(qemu);
    auto killed = std::chrono::steady_clock::now();
    ::kill(static_cast<pid_t>(qemu->identity.pid), SIGKILL);
    auto finished = process.finish(seconds(10));
    EXPECT_LT(std::chrono::steady_clock::now() - killed, Duration(1500));
    expect_vm_error(finished, "QEMU was killed by signal 9 (Killed)");
}

TEST_F(GuestFaultTest, DeadHelperEndsTheRunAndIsNamed) {
    int met = 0;
    for (const char* helper : {"virtiofsd", "slirp4netns"}) {
        auto process = lasting(all_helpers());
        auto found = find_descendant(process.pid(), helper);
        bool expected = std::string_view(helper) == "slirp4netns" && has_nat();
        EXPECT_TRUE(found || !expected) << describe(descendants(process.pid()));
        if (!found) continue;
        ++met;
        ::kill(static_cast<pid_t>(found->identity.pid), SIGKILL);
        expect_vm_error(process.finish(seconds(10)), helper);
    }
    if (met == 0) GTEST_SKIP() << "no helper runs here: shares go over 9p, and there is no network";
}

}  // namespace
}  // namespace vmette::testing
