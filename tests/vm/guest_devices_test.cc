#include <csignal>
#include <fstream>

#include "tests/vm/guest_fixture.h"
#include "vm/devices.h"
#include "vm/shares.h"

namespace vmette::vm::testing {
namespace {

/// Guests with more than the least, and machines other than the usual one.
class GuestDevicesTest : public GuestFixture, public ::testing::WithParamInterface<ShareTransport> {
protected:
    VmSpec shared_spec(ShareMode mode) {
        VmSpec out = spec();
        out.share_transport = GetParam();
        shared_ = folder_->path() / "shared";
        std::filesystem::create_directory(shared_);
        std::ofstream(shared_ / "hello") << "from the host\n";
        out.shares = {{"src", std::filesystem::canonical(shared_), "/src", mode}};
        return out;
    }
    void skip_without_virtiofsd() {
        if (GetParam() != ShareTransport::virtiofs) return;
        auto choice = choose_share_transport(std::chrono::seconds(2));
        if (choice.transport != ShareTransport::virtiofs) GTEST_SKIP() << choice.detail;
    }
    std::filesystem::path shared_;
};

INSTANTIATE_TEST_SUITE_P(Transports, GuestDevicesTest,
                         ::testing::Values(ShareTransport::virtiofs, ShareTransport::plan9), [](const auto& instance) {
                             return instance.param == ShareTransport::virtiofs ? "Virtiofs" : "Plan9";
                         });

TEST_P(GuestDevicesTest, ReadOnlyShareIsReadAndNotWritten) {
    skip_without_virtiofsd();
    run(shared_spec(ShareMode::ro), "cat /src/hello; mount -o remount,rw /src; echo x > /src/new && echo written");
    EXPECT_EQ(seen_.out, "from the host\n");
    EXPECT_FALSE(std::filesystem::exists(shared_ / "new"));
}

TEST_P(GuestDevicesTest, WritableShareIsWrittenThrough) {
    skip_without_virtiofsd();
    run(shared_spec(ShareMode::rw), "echo result > /src/result && sync");
    EXPECT_EQ(seen_.end->code, 0u);
    session_->finish({});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.usage || seen_.death; }));
    session_->pull();
    EXPECT_EQ(read_file(shared_ / "result", 64).value_or("missing"), "result\n");
}

TEST_P(GuestDevicesTest, OverlayShareKeepsItsWritesInTheGuest) {
    skip_without_virtiofsd();
    run(shared_spec(ShareMode::overlay), "echo mine > /src/hello && cat /src/hello");
    EXPECT_EQ(seen_.out, "mine\n");
    EXPECT_EQ(read_file(shared_ / "hello", 64).value_or("missing"), "from the host\n");
}

TEST_P(GuestDevicesTest, FolderIsARoot) {
    skip_without_virtiofsd();
    VmSpec wanted = spec();
    wanted.share_transport = GetParam();
    wanted.root.source = RootSource::directory;
    wanted.root.path = std::filesystem::canonical(folder_->path() / "root");
    run(wanted, "echo new > /file && cat /file");
    EXPECT_EQ(seen_.out, "new\n");
    EXPECT_FALSE(std::filesystem::exists(wanted.root.path / "file"));
}

class GuestMachineTest : public GuestFixture {
protected:
    VmSpec with_disks(std::size_t count) {
        VmSpec out = spec();
        for (std::size_t i = 0; i < count; ++i) {
            auto path = folder_->path() / fmt::format("disk{}", i);
            std::ofstream(path) << fmt::format("{:<4096}", fmt::format("disk {}", i));
            out.disks.push_back({path, "", false});
        }
        return out;
    }
};

TEST_F(GuestMachineTest, EverySlotWithAcpiHoldsADisk) {
    VmSpec wanted = with_disks(18);
    wanted.root.upper = Upper::scratch;
    wanted.scratch_bytes = 16 * kMiB;
    ASSERT_TRUE(choose_machine(wanted).acpi);
    ASSERT_EQ(device_budget(wanted).used, device_budget(wanted).limit);
    run(wanted,
        "for d in /sys/block/vd*; do [ $(cat $d/serial) = disk17 ] && head -c 8 /dev/${d##*/}; done; ls -d "
        "/sys/block/vd* | while read l; do echo; done");
    EXPECT_EQ(seen_.out, "disk 17 " + std::string(20, '\n'));
}

TEST_F(GuestMachineTest, EverySlotWithoutAcpiHoldsADisk) {
    VmSpec wanted = with_disks(4);
    ASSERT_FALSE(choose_machine(wanted).acpi);
    ASSERT_EQ(device_list(wanted).size(), choose_machine(wanted).slots);
    run(wanted, "for d in /sys/block/vd*; do [ $(cat $d/serial) = disk3 ] && head -c 7 /dev/${d##*/}; done");
    EXPECT_EQ(seen_.out, "disk 3 ");
}

TEST_F(GuestMachineTest, DiskIsWrittenThrough) {
    VmSpec wanted = with_disks(1);
    run(wanted, "for d in /sys/block/vd*; do [ $(cat $d/serial) = disk0 ] && echo changed > /dev/${d##*/}; done; sync");
    session_->pull();
    EXPECT_EQ(read_file(wanted.disks[0].path, 8192).value_or("").substr(0, 8), "changed\n");
}

TEST_F(GuestMachineTest, TwoProcessorsRun) {
    VmSpec wanted = spec();
    wanted.vcpus = 2;
    run(wanted, "ls -d /sys/devices/system/cpu/cpu[0-9]* | while read c; do echo; done");
    EXPECT_EQ(seen_.out, "\n\n");
}

TEST_F(GuestMachineTest, KernelWithoutThePatchBootsWithAcpi) {
    VmSpec wanted = spec();
    wanted.kernel_has_timer_patch = false;
    wanted.kernel_has_mmio_cmdline = false;
    run(wanted, "echo up");
    EXPECT_EQ(seen_.out, "up\n");
}

TEST_F(GuestMachineTest, HostWithoutInvariantCounterBootsAndKeepsTime) {
    VmSpec wanted = spec();
    wanted.tsc_khz = 0;
    set_up(wanted);
    ASSERT_FALSE(HasFatalFailure());
    exec({"/bin/sleep", "2"});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.has("started") || seen_.death; }));
    auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(run_until(io_, [&] { return seen_.end || seen_.death; }));
    std::chrono::duration<double> slept = std::chrono::steady_clock::now() - begin;
    EXPECT_GT(slept.count(), 1.5);
    EXPECT_LT(slept.count(), 4);
}

TEST_F(GuestMachineTest, KernelThatKnowsNeitherClockBoots) {
    VmSpec wanted = spec();
    wanted.tsc_khz = 0;
    wanted.kernel_has_timer_patch = false;
    run(wanted, "echo up");
    EXPECT_EQ(seen_.out, "up\n");
}

TEST_F(GuestMachineTest, NetworkIsConfigured) {
    VmSpec wanted = spec();
    wanted.net = NetMode::nat;
    run(wanted, "cat /sys/class/net/eth0/operstate /sys/class/net/eth0/address; cat /proc/net/route | head -n 2");
    EXPECT_NE(seen_.out.find("52:54:00:76:6d:01"), std::string::npos) << seen_.out;
    EXPECT_NE(seen_.out.find("eth0"), std::string::npos);
    ASSERT_EQ(::kill(static_cast<pid_t>(ledger_.seen.at("slirp4netns").pid), SIGKILL), 0);
    ASSERT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }));
    EXPECT_EQ(seen_.death->kind, DeathKind::helper_died);
    EXPECT_EQ(seen_.death->message.substr(0, 43), "slirp4netns was killed by signal 9 (Killed)");
}

TEST_F(GuestMachineTest, DeathOfVirtiofsdEndsTheMachine) {
    auto choice = choose_share_transport(std::chrono::seconds(2));
    if (choice.transport != ShareTransport::virtiofs) GTEST_SKIP() << choice.detail;
    VmSpec wanted = spec();
    wanted.share_transport = choice.transport;
    wanted.shares = {{"src", std::filesystem::canonical(folder_->path() / "root"), "/src", ShareMode::ro}};
    set_up(wanted);
    ASSERT_FALSE(HasFatalFailure());
    ASSERT_EQ(::kill(static_cast<pid_t>(ledger_.seen.at("virtiofsd src").pid), SIGKILL), 0);
    ASSERT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }));
    EXPECT_EQ(seen_.death->kind, DeathKind::helper_died);
    EXPECT_EQ(seen_.death->message, "virtiofsd of share src was killed by signal 9 (Killed)");
    EXPECT_EQ(session_->pull(), std::vector<std::string>());
    EXPECT_TRUE(ledger_.live.empty());
}

TEST_F(GuestMachineTest, ProbeOfKvmEndsInTime) {
    VmSpec wanted = spec();
    auto begin = std::chrono::steady_clock::now();
    auto found = probe(Accel::kvm, wanted.kernel, wanted.initramfs, wanted.kernel_has_timer_patch,
                       wanted.kernel_has_mmio_cmdline, wanted.tsc_khz, std::chrono::seconds(3));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
    EXPECT_FALSE(found.detail.empty());
    EXPECT_EQ(found.works, found.boot_ms > 0) << found.detail;
}

}  // namespace
}  // namespace vmette::vm::testing
