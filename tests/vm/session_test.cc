#include "vm/session.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "guest/protocol.h"
#include "tests/vm/session_recorder.h"
#include "vm/accel.h"

namespace vmette::vm {
namespace {

using testing::FakeLedger;
using testing::run_until;
using testing::SessionRecorder;

/// A session whose QEMU is fake_qemu; the kernel's file name says which part that plays.
class SessionTest : public ::testing::Test {
protected:
    void SetUp() override {
        ::setenv("VMETTE_QEMU", FAKE_QEMU, 1);
        auto folder = TempDir::make();
        ASSERT_TRUE(folder) << folder.error().text();
        folder_ = std::make_unique<TempDir>(std::move(*folder));
    }
    void TearDown() override { ::unsetenv("VMETTE_QEMU"); }

    VmSpec spec(const std::string& part) {
        VmSpec out;
        out.run_id = "test";
        out.kernel = folder_->path() / part;
        out.initramfs = folder_->path() / "initramfs";
        std::ofstream(out.kernel) << part;
        std::ofstream(out.initramfs) << "initramfs";
        return out;
    }

    void start(const VmSpec& spec) {
        auto started = Session::start(io_, host_, spec, seen_);
        ASSERT_TRUE(started) << started.error().text();
        session_ = std::move(*started);
        seen_.session = session_.get();
    }

    /// Starts that part and waits for the machine's death.
    Death death_of(const std::string& part) {
        start(spec(part));
        EXPECT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }));
        auto calls = seen_.calls.size();
        EXPECT_EQ(session_->pull(), std::vector<std::string>());
        EXPECT_TRUE(run_until(io_, [] { return true; }));
        EXPECT_EQ(seen_.calls.size(), calls) << "a call came after death";
        EXPECT_TRUE(ledger_.live.empty());
        return seen_.death.value_or(Death{});
    }

    Result<std::unique_ptr<Session>> try_start(const VmSpec& spec) { return Session::start(io_, host_, spec, seen_); }

    std::unique_ptr<TempDir> folder_;
    Layout layout_;
    SystemClock clock_;
    FakeLedger ledger_;
    SessionHost host_{layout_, clock_, ledger_};
    asio::io_context io_;
    SessionRecorder seen_;
    std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, WholeRun) {
    ::setenv("VMETTE_TEST_SECRET", "hush", 1);
    start(spec("whole-run"));
    EXPECT_EQ(ledger_.live.size(), 1u);
    ASSERT_TRUE(run_until(io_, [&] { return seen_.has("hello"); }));
    GuestSetup setup;
    setup.hostname = "box";
    session_->setup(setup);
    ASSERT_TRUE(run_until(io_, [&] { return seen_.has("ready"); }));
    EXPECT_EQ(seen_.warnings, std::vector<std::string>{"a warning with \\x1b[31mcolour"});
    session_->exec({});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.end.has_value(); }));
    EXPECT_EQ(seen_.end->code, 3u);
    // Its three sockets and the standard ones: nothing of ours is inherited, and no environment.
    EXPECT_EQ(seen_.out, "fds 0 1 2 3 4 5\nPATH=/usr/bin:/bin");
    EXPECT_EQ(seen_.err, "box 64");
    session_->finish({});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.usage.has_value(); }));
    EXPECT_EQ(seen_.usage->cpu_us, 12u);
    EXPECT_EQ(session_->pull(), std::vector<std::string>());
    EXPECT_TRUE(ledger_.live.empty());
    EXPECT_FALSE(seen_.death);
    ::unsetenv("VMETTE_TEST_SECRET");
}

TEST_F(SessionTest, QemuThatDiesAtStartIsToldWithItsLastLine) {
    Death death = death_of("dies");
    EXPECT_EQ(death.kind, DeathKind::qemu_exited);
    EXPECT_EQ(death.message, "QEMU exited with code 1: qemu: could not set up the \\x1b[2Jmachine");
}

TEST_F(SessionTest, QemuThatCrashesIsTold) {
    Death death = death_of("crashes");
    EXPECT_EQ(death.kind, DeathKind::qemu_exited);
    EXPECT_EQ(death.message, "QEMU was killed by signal 11 (Segmentation fault)");
}

TEST_F(SessionTest, QemuThatChattersOnStderrIsNotHeldUp) {
    Death death = death_of("chatters");
    EXPECT_EQ(death.kind, DeathKind::qemu_exited);
    EXPECT_EQ(death.message.substr(0, 30), "QEMU exited with code 1: eeeee");
    EXPECT_LT(death.message.size(), 500u);
}

TEST_F(SessionTest, GarbageOnTheChannel) {
    Death death = death_of("garbage");
    EXPECT_EQ(death.kind, DeathKind::protocol);
    EXPECT_EQ(death.message, "the guest sent a frame of unknown type 47");
}

TEST_F(SessionTest, OversizedFrame) {
    Death death = death_of("oversized");
    EXPECT_EQ(death.kind, DeathKind::protocol);
    EXPECT_EQ(death.message, "the guest sent 'beat' with 2147483647 bytes, where 1048576 are allowed");
}

TEST_F(SessionTest, TruncatedFrame) {
    Death death = death_of("truncated");
    EXPECT_EQ(death.kind, DeathKind::protocol);
    EXPECT_EQ(death.message, "the guest's channel ended inside a frame, after 5 of its bytes");
}

TEST_F(SessionTest, TruncatedFrameBeforeACleanExit) {
    Death death = death_of("truncated-exit");
    EXPECT_EQ(death.kind, DeathKind::protocol);
    EXPECT_EQ(death.message, "the guest's channel ended inside a frame, after 5 of its bytes");
}

TEST_F(SessionTest, ClosedChannel) {
    Death death = death_of("hangs-up");
    EXPECT_EQ(death.kind, DeathKind::protocol);
    EXPECT_EQ(death.message, "QEMU closed the guest's channel");
}

TEST_F(SessionTest, GuestOfAnotherVersion) {
    Death death = death_of("old-version");
    EXPECT_EQ(death.kind, DeathKind::protocol);
    EXPECT_EQ(
        death.message,
        fmt::format("the guest speaks version 0 of the protocol and this vmette version {}: the initramfs belongs to "
                    "another vmette",
                    wire::kVersion));
}

TEST_F(SessionTest, Panic) {
    Death death = death_of("panics");
    EXPECT_EQ(death.kind, DeathKind::guest_panicked);
    EXPECT_EQ(death.message, "the guest's kernel panicked: Kernel panic - not syncing: Attempted to kill init!");
    EXPECT_NE(seen_.console.find("CPU: 0"), std::string::npos);
}

TEST_F(SessionTest, Reboot) {
    Death death = death_of("reboots");
    EXPECT_EQ(death.kind, DeathKind::guest_reset);
}

TEST_F(SessionTest, BrokenMonitorDoesNotEndTheMachine) {
    start(spec("bad-monitor"));
    EXPECT_TRUE(run_until(io_, [&] { return seen_.has("hello"); }));
    EXPECT_FALSE(seen_.death);
}

TEST_F(SessionTest, DroppedSessionLeavesNoProcess) {
    start(spec("waits"));
    auto qemu = ledger_.seen.at("qemu");
    EXPECT_TRUE(is_alive(qemu));
    session_.reset();
    EXPECT_FALSE(is_alive(qemu));
    EXPECT_TRUE(ledger_.live.empty());
}

TEST_F(SessionTest, MissingQemuNamesThePackage) {
    ::unsetenv("VMETTE_QEMU");
    std::string path = ::getenv("PATH");
    ::setenv("PATH", folder_->path().c_str(), 1);
    auto started = try_start(spec("waits"));
    ::setenv("PATH", path.c_str(), 1);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::not_found);
    EXPECT_EQ(started.error().text(), "QEMU is not installed: install the package qemu-system-x86");
}

TEST_F(SessionTest, MissingNamedQemuIsNamed) {
    ::setenv("VMETTE_QEMU", "/nowhere/qemu", 1);
    auto started = try_start(spec("waits"));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().text(), "VMETTE_QEMU names /nowhere/qemu, which is no program");
}

TEST_F(SessionTest, MissingKernelIsNamed) {
    VmSpec wanted = spec("waits");
    wanted.kernel = "/nowhere/vmlinux";
    auto started = try_start(wanted);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::not_found);
    EXPECT_EQ(started.error().text(), "open the kernel /nowhere/vmlinux: No such file or directory");
}

TEST_F(SessionTest, TooManyDevicesAreRefusedBeforeAnythingIsOpened) {
    VmSpec wanted = spec("waits");
    for (int i = 0; i < 24; ++i) wanted.disks.push_back({"/nowhere/disk", "", false});
    auto started = try_start(wanted);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::unsupported);
    EXPECT_TRUE(ledger_.seen.empty());
}

TEST_F(SessionTest, FailureAfterSomePartsWereMadeLeavesNothing) {
    VmSpec wanted = spec("waits");
    wanted.disks.push_back({"/nowhere/disk", "", false});
    auto started = try_start(wanted);
    ASSERT_FALSE(started);
    EXPECT_TRUE(ledger_.live.empty());
}

TEST(ProbeTest, UnusableKvmIsExplainedWithoutAGuest) {
    if (::access("/dev/kvm", R_OK | W_OK) == 0) GTEST_SKIP() << "/dev/kvm is usable here";
    auto found = probe(Accel::kvm, "/nowhere", "/nowhere", true, true, 0, std::chrono::seconds(1));
    EXPECT_FALSE(found.works);
    EXPECT_NE(found.detail.find("/dev/kvm"), std::string::npos);
}

TEST(MeasureTscTest, TwoMeasurementsAgree) {
    auto first = measure_tsc_khz(std::chrono::milliseconds(50));
    if (first == 0) GTEST_SKIP() << "no invariant time-stamp counter";
    auto second = measure_tsc_khz(std::chrono::milliseconds(50));
    EXPECT_NEAR(static_cast<double>(first), static_cast<double>(second), static_cast<double>(first) * 1e-3);
}

TEST(ProbeKeyTest, DependsOnQemuAndKernel) {
    EXPECT_EQ(probe_key("/bin/sh", "a"), probe_key("/bin/sh", "a"));
    EXPECT_NE(probe_key("/bin/sh", "a"), probe_key("/bin/sh", "b"));
    EXPECT_NE(probe_key("/bin/sh", "a"), probe_key("/bin/cat", "a"));
}

}  // namespace
}  // namespace vmette::vm
