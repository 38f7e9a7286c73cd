/// Layers, shares, disks and the files of a run.

#include <fstream>

#include "guest/fixture.h"

namespace vmette::guest_test {
namespace {

using wire::ShareTransport;

class RootTest : public GuestTest {
protected:
    wire::ShareMount share(const std::string& tag, const std::string& path, bool read_only, bool overlay = false) {
        std::filesystem::path host = folder_.path() / tag;
        write_file(host / "from-host", "hello\n");
        options_.folders.push_back(TestFolder{tag, host, read_only || overlay});
        return wire::ShareMount{tag, static_cast<std::uint8_t>(ShareTransport::plan9), path, read_only, overlay};
    }
};

TEST_F(RootTest, ReadOnlyRootStaysReadOnly) {
    setup_.upper = static_cast<std::uint8_t>(wire::UpperKind::none);
    setup_.shares = {share("src", "/not/in/the/image", true)};
    std::filesystem::remove_all(root() / "run");
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_EQ(output_of("touch /x 2>&1 || true"), "touch: /x: Read-only file system\n");
    EXPECT_EQ(output_of("mount -o remount,rw / 2>/dev/null; touch /x 2>/dev/null || echo refused"), "refused\n");
    EXPECT_EQ(output_of("cat /not/in/the/image/from-host; echo x > /tmp/x; cat /tmp/x /etc/hostname"),
              "hello\nx\nbox\n");
}

TEST_F(RootTest, ScratchGrowsToItsDiskAndIsCounted) {
    auto made = make_ext4(folder_.path() / "scratch", 64 << 20, 1 << 30);
    ASSERT_TRUE(made) << made.error().text();
    options_.disks.push_back(TestDisk{"scratch", folder_.path() / "scratch", false});
    setup_.upper = static_cast<std::uint8_t>(wire::UpperKind::scratch);
    setup_.scratch_serial = "scratch";
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_GT(std::stoull(output_of("df -m / | awk 'END { print $2 }'")), 900U);
    output_of("dd if=/dev/zero of=/big bs=1M count=100 2>/dev/null");
    wire::Usage usage = finish();
    EXPECT_GE(usage.scratch_bytes, 100ULL << 20);
    EXPECT_LT(usage.scratch_bytes, 120ULL << 20);
}

TEST_F(RootTest, ScratchWithoutAFilesystemFailsTheSetUp) {
    write_file(folder_.path() / "scratch", std::string(1 << 20, '\0'));
    options_.disks.push_back(TestDisk{"scratch", folder_.path() / "scratch", false});
    setup_.upper = static_cast<std::uint8_t>(wire::UpperKind::scratch);
    setup_.scratch_serial = "scratch";
    EXPECT_EQ(boot_to_failure().message, "the scratch disk holds no ext4 filesystem");
}

TEST_F(RootTest, FolderServesAsRootAndIsNotWritten) {
    options_.folders.push_back(TestFolder{"rootfs", root(), true});
    setup_.root = static_cast<std::uint8_t>(wire::RootKind::plan9);
    setup_.root_tag = "rootfs";
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_EQ(output_of("echo changed > /etc/passwd; rm /etc/group; cat /etc/passwd"), "changed\n");
    EXPECT_THAT(read_text(root() / "etc/passwd"), ::testing::StartsWith("root:x:0"));
    EXPECT_TRUE(std::filesystem::exists(root() / "etc/group"));
    EXPECT_FALSE(std::filesystem::exists(root() / "etc/hostname"));
}

TEST_F(RootTest, SharesKeepToTheirModes) {
    setup_.shares = {share("ro", "/mnt/ro", true), share("rw", "/mnt/rw", false),
                     share("over", "/mnt/over", false, true)};
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_EQ(output_of("cat /mnt/*/from-host | wc -l"), "3\n");
    EXPECT_EQ(output_of("touch /mnt/ro/x 2>/dev/null || echo refused"), "refused\n");
    output_of("echo from-guest > /mnt/rw/x; echo from-guest > /mnt/over/x; rm /mnt/over/from-host");
    EXPECT_EQ(output_of("ls /mnt/over"), "x\n");
    EXPECT_THAT(finish().warnings, ::testing::IsEmpty());
    EXPECT_EQ(read_text(folder_.path() / "rw/x"), "from-guest\n");
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "over/x"));
    EXPECT_TRUE(std::filesystem::exists(folder_.path() / "over/from-host"));
}

TEST_F(RootTest, ShareThatIsNotThereFailsTheSetUp) {
    setup_.shares = {{"nowhere", static_cast<std::uint8_t>(ShareTransport::plan9), "/mnt", true, false}};
    EXPECT_EQ(boot_to_failure().message, "mount nowhere on /mnt: No such file or directory");
}

TEST_F(RootTest, DisksAreMountedWhenTheyHoldAFilesystem) {
    ASSERT_TRUE(make_ext4(folder_.path() / "data", 16 << 20, 16 << 20));
    write_file(folder_.path() / "raw", std::string(1 << 20, '\0'));
    options_.disks.push_back(TestDisk{"disk0", folder_.path() / "data", false});
    options_.disks.push_back(TestDisk{"disk1", folder_.path() / "raw", true});
    setup_.disks = {{"disk0", "/data", false}, {"disk1", "/raw", true}};
    ASSERT_NO_FATAL_FAILURE(boot());
    ASSERT_EQ(ready_.warnings.size(), 1U);
    EXPECT_THAT(
        ready_.warnings[0],
        ::testing::MatchesRegex("the disk for /raw holds no filesystem that is known: it is /dev/vd., not mounted"));
    EXPECT_EQ(output_of("echo kept > /data/x; awk '$2 == \"/data\" { print $3 }' /proc/mounts"), "ext4\n");
    EXPECT_EQ(output_of("stat -L -c %F /dev/disk/by-id/virtio-disk1"), "block special file\n");
    EXPECT_THAT(finish().warnings, ::testing::IsEmpty());
    EXPECT_NE(read_text(folder_.path() / "data").find("kept\n"), std::string::npos);
}

TEST_F(RootTest, HostileLinksOfTheImageLeadNowhere) {
    std::filesystem::remove_all(root() / "etc");
    std::filesystem::create_directory_symlink("../../../../proc/1/root/etc", root() / "etc");
    std::filesystem::remove_all(root() / "tmp");
    std::filesystem::create_directory_symlink("/dev/../../..", root() / "tmp");
    auto failure = boot_to_failure();
    EXPECT_EQ(failure.kind, static_cast<std::uint8_t>(FailureKind::setup));
}

TEST_F(RootTest, FilesOfTheRunReplaceTheImagesLinks) {
    std::filesystem::create_symlink("/run/systemd/resolve/stub-resolv.conf", root() / "etc/resolv.conf");
    std::filesystem::create_symlink("/proc/sysrq-trigger", root() / "etc/hosts");
    options_.network = true;
    setup_.network = {true, "10.0.2.15", "10.0.2.2", "10.0.2.3", "52:54:00:00:00:01", 24, 1400};
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_EQ(output_of("cat /etc/resolv.conf; grep -c box /etc/hosts"), "nameserver 10.0.2.3\n1\n");
    EXPECT_EQ(output_of("ip -o addr show eth0 | grep -o '10[0-9./]*' | head -n 1; cat /sys/class/net/eth0/mtu"),
              "10.0.2.15/24\n1400\n");
    EXPECT_THAT(output_of("ip route"), ::testing::StartsWith("default via 10.0.2.2 dev eth0"));
}

TEST_F(RootTest, CertificatesGoWhereTheImageKeepsThem) {
    std::filesystem::create_symlink("certs/ca-certificates.crt", root() / "etc/ssl/cert.pem");
    std::filesystem::create_directories(root() / "usr/local/share/ca-certificates");
    setup_.ca_certs = {"CERT-ONE", "CERT-TWO\n"};
    ASSERT_NO_FATAL_FAILURE(boot());
    EXPECT_THAT(ready_.warnings, ::testing::IsEmpty());
    EXPECT_EQ(output_of("cat /etc/ssl/certs/ca-certificates.crt"), "OLD\n\nCERT-ONE\n\nCERT-TWO\n");
    EXPECT_EQ(output_of("cat /usr/local/share/ca-certificates/vmette-2.crt"), "CERT-TWO\n");
}

TEST_F(RootTest, SecretsBelongToTheCommandsUser) {
    setup_.secret_files = {{"TOKEN", "s3cret"}};
    ASSERT_NO_FATAL_FAILURE(boot());
    wire::Exec exec = shell("cat /run/secrets/TOKEN; stat -c ' %a %u' /run/secrets/TOKEN");
    exec.user = "agent";
    EXPECT_EQ(run(*machine_, exec).out, "s3cret 400 1000\n");
}

}  // namespace
}  // namespace vmette::guest_test
