#include <fstream>

#include "base/digest.h"
#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

class DisksTest : public GuestTest {
protected:
    /// An ext4 image of 16 MiB.
    std::filesystem::path ext4() {
        auto path = home().folder() / "data.img";
        std::ofstream(path).close();
        std::filesystem::resize_file(path, 16 << 20);
        run({"mkfs.ext4", "-q", path});
        return path;
    }
    static void run(std::vector<std::string> argv) {
        auto result = run_captured({.argv = std::move(argv)}, std::chrono::seconds(30));
        ASSERT_TRUE(result && result->ok()) << (result ? result->err : result.error().text());
    }
    static std::string disk(const std::filesystem::path& path, const std::string& rest) {
        return fmt::format("[[disks]]\npath = \"{}\"\n{}\n", path.string(), rest);
    }
};

TEST_F(DisksTest, FilesystemIsMountedAndKeepsWhatWasWritten) {
    auto table = disk(ext4(), "guest = \"/data\"");
    auto first = shell("echo kept > /data/file", table);
    EXPECT_EQ(first.code, 0) << first;
    auto second = shell("cat /data/file", table);
    EXPECT_EQ(second.out, "kept\n") << second;
}

TEST_F(DisksTest, ReadOnlyOneIsNotWrittenWhateverTheGuestDoes) {
    auto image = ext4();
    auto before = *sha256_file(image);
    auto finished = shell(
        "echo x > /data/file; mount -o remount,rw /data; echo x > /data/file; umount /data; "
        "for d in /dev/vd?; do dd if=/dev/zero of=$d bs=4096 count=1 conv=fsync; done",
        disk(image, "guest = \"/data\"\nread_only = true"));
    EXPECT_NE(finished.code, 0);
    EXPECT_EQ(*sha256_file(image), before) << finished;
}

TEST_F(DisksTest, QcowIsKnownByItsMagicAndNeedNotHoldAFilesystem) {
    auto image = home().folder() / "disk.qcow2";
    run({"qemu-img", "create", "-q", "-f", "qcow2", image, "40M"});
    auto finished = shell("for d in /sys/block/vd*; do echo $(cat $d/serial) $(cat $d/size); done", disk(image, ""));
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(finished.out, HasSubstr("disk0 81920\n"));
}

TEST_F(DisksTest, OrderOfTheManifestIsTheOrderOfTheSerials) {
    auto first = home().write("first.img", std::string(1 << 20, 'a'));
    auto second = home().write("second.img", std::string(2 << 20, 'b'));
    auto finished = shell("for d in /sys/block/vd*; do echo $(cat $d/serial) $(head -c 1 /dev/${d##*/}); done",
                          disk(first, "") + disk(second, ""));
    EXPECT_THAT(finished.out, AllOf(HasSubstr("disk0 a\n"), HasSubstr("disk1 b\n"))) << finished;
}

TEST_F(DisksTest, QcowThatNamesAnotherFileIsRefused) {
    auto base = home().write("secret.img", std::string(1 << 20, 's'));
    auto image = home().folder() / "thin.qcow2";
    run({"qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", image});
    auto finished = shell("cat /dev/vd?", disk(image, ""));
    EXPECT_EQ(finished.code, 125) << finished.err;
    EXPECT_EQ(finished.out, "");
    EXPECT_THAT(finished.err, AllOf(HasSubstr("thin.qcow2"), HasSubstr("backing file")));
}

TEST_F(DisksTest, OneDiskIsWrittenByOneRunAtATime) {
    auto table = disk(ext4(), "guest = \"/data\"");
    auto holder = home().start(home().up_shell(table, "echo on; sleep 60"));
    ASSERT_TRUE(holder.until_out("on\n")) << holder.err();
    auto finished = shell("echo never", table);
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, HasSubstr("data.img is in use by another vmette run (before the command began; run "));
}

TEST_F(DisksTest, DiskWithoutAFilesystemIsThereAndTheUserIsTold) {
    auto image = home().write("blank.img", std::string(1 << 20, '\0'));
    auto finished = shell("head -c 3 /dev/vda | od -An -tx1", disk(image, "guest = \"/data\""));
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(finished.out, " 00 00 00\n");
    EXPECT_EQ(finished.err,
              "vmette: warning: the disk for /data holds no filesystem that is known: it is /dev/vda, not mounted\n");
}

}  // namespace
}  // namespace vmette::testing
