#include "vm/guest_setup.h"

#include <gtest/gtest.h>

namespace vmette::vm {
namespace {

TEST(GuestSetupTest, BlockRootWithScratchDisksSharesAndNetwork) {
    VmSpec spec;
    spec.run_id = "01j";
    spec.memory_bytes = 1 * kGiB;
    spec.root = {RootSource::block_image, "/i/root.squashfs", Upper::scratch};
    spec.disks = {{"/d/a", "/data", false}, {"/d/b", "", true}};
    spec.shares = {{"src", "/h", "/src", ShareMode::ro},
                   {"out", "/h", "/out", ShareMode::rw},
                   {"tmp", "/h", "/t", ShareMode::overlay}};
    GuestSetup wanted{
        .hostname = "box", .switch_root = true, .ca_certs = {"PEM"}, .secret_files = {{"KEY", "value"}}, .pids = 99};
    NetSettings net{"10.0.2.100", "10.0.2.2", "10.0.2.3", "52:54:00:00:00:01", 24, 1500};
    SetupFacts facts;
    facts.now = WallTime(std::chrono::milliseconds(1'700'000'000'123));
    facts.entropy = "entropy";
    facts.transport = ShareTransport::virtiofs;
    facts.net = &net;
    facts.call_port = 4000;
    wire::Setup setup = compose_setup(spec, wanted, facts);

    EXPECT_EQ(setup.call_port, 4000u);
    EXPECT_EQ(setup.run_id, "01j");
    EXPECT_EQ(setup.hostname, "box");
    EXPECT_EQ(setup.unix_time_ns, 1'700'000'000'123'000'000u);
    EXPECT_EQ(setup.entropy, "entropy");
    EXPECT_EQ(setup.root, static_cast<std::uint8_t>(wire::RootKind::block));
    EXPECT_EQ(setup.root_serial, "root");
    EXPECT_EQ(setup.root_tag, "");
    EXPECT_EQ(setup.upper, static_cast<std::uint8_t>(wire::UpperKind::scratch));
    EXPECT_EQ(setup.scratch_serial, "scratch");
    EXPECT_TRUE(setup.switch_root);
    ASSERT_EQ(setup.disks.size(), 2u);
    EXPECT_EQ(setup.disks[1].serial, "disk1");
    EXPECT_TRUE(setup.disks[1].read_only);
    ASSERT_EQ(setup.shares.size(), 3u);
    EXPECT_TRUE(setup.shares[0].read_only);
    EXPECT_FALSE(setup.shares[1].read_only);
    EXPECT_TRUE(setup.shares[2].overlay);
    EXPECT_TRUE(setup.shares[2].read_only);
    EXPECT_EQ(setup.shares[0].transport, static_cast<std::uint8_t>(wire::ShareTransport::virtiofs));
    EXPECT_TRUE(setup.network.present);
    EXPECT_EQ(setup.network.address, "10.0.2.100");
    EXPECT_EQ(setup.network.prefix, 24u);
    EXPECT_EQ(setup.ca_certs, std::vector<std::string>{"PEM"});
    ASSERT_EQ(setup.secret_files.size(), 1u);
    EXPECT_EQ(setup.secret_files[0].value, "value");
    EXPECT_EQ(setup.memory_reserve, 32 * kMiB);
    EXPECT_EQ(setup.pids, 99u);
}

TEST(GuestSetupTest, SharedRootNamesItsTag) {
    VmSpec spec;
    spec.root = {RootSource::directory, "/r", Upper::memory};
    SetupFacts facts;
    facts.transport = ShareTransport::plan9;
    wire::Setup setup = compose_setup(spec, {}, facts);
    EXPECT_EQ(setup.root, static_cast<std::uint8_t>(wire::RootKind::plan9));
    EXPECT_EQ(setup.root_tag, "rootfs");
    EXPECT_EQ(setup.root_serial, "");
    EXPECT_EQ(setup.upper, static_cast<std::uint8_t>(wire::UpperKind::tmpfs));
    EXPECT_FALSE(setup.network.present);
    EXPECT_EQ(setup.call_port, 0u);
}

TEST(GuestSetupTest, EntropyIsFreshEachTime) {
    EXPECT_EQ(fresh_entropy().size(), kEntropyBytes);
    EXPECT_NE(fresh_entropy(), fresh_entropy());
}

TEST(GuestSetupTest, ReserveIsASixteenthWithinBounds) {
    EXPECT_EQ(memory_reserve(128 * kMiB), 8 * kMiB);
    EXPECT_EQ(memory_reserve(512 * kMiB), 16 * kMiB);
    EXPECT_EQ(memory_reserve(64 * kGiB), 256 * kMiB);
}

}  // namespace
}  // namespace vmette::vm
