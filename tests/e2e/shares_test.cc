#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/fd.h"
#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

class SharesTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (IsSkipped()) return;
        shared_ = home().folder() / "shared";
        ASSERT_TRUE(make_private_dir(shared_));
        std::ofstream(shared_ / "file") << "of the host\n";
    }
    std::string share(const std::string& mode) const {
        return fmt::format("shares = [\"{}:/s{}\"]\n", shared_.string(), mode.empty() ? "" : ":" + mode);
    }
    static std::string text(const std::filesystem::path& path) { return read_file(path, 1 << 20).value_or("(none)"); }
    std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(shared_)) found.push_back(entry.path().filename());
        std::ranges::sort(found);
        return found;
    }

    std::filesystem::path shared_;
};

TEST_F(SharesTest, AreReadOnlyUnlessTheManifestSaysOtherwise) {
    auto finished = shell("cat /s/file; echo x > /s/new", share(""));
    EXPECT_EQ(finished.code, 1) << finished;
    EXPECT_EQ(finished.out, "of the host\n");
    EXPECT_THAT(finished.err, HasSubstr("Read-only file system"));
    EXPECT_EQ(names(), std::vector<std::string>{"file"});
}

TEST_F(SharesTest, ReadOnlyIsTheHostsAndNotTheGuestsToLift) {
    auto finished = shell(
        "mount -o remount,rw /s; echo x > /s/new; echo y > /s/file; rm /s/file; mkdir /s/dir; chmod 777 /s/file; "
        "t=$(awk '$2 == \"/s\" {print $1}' /proc/mounts); f=$(awk '$2 == \"/s\" {print $3}' /proc/mounts); umount /s; "
        "o=rw; [ $f = 9p ] && o=rw,trans=virtio,version=9p2000.L; mount -t $f -o $o $t /s && cat /s/file; "
        "echo x > /s/new; echo y > /s/file; rm /s/file; mv /s/file /s/other; ln -s a /s/b; mkdir /s/dir",
        share("ro"));
    EXPECT_NE(finished.code, 0);
    EXPECT_EQ(finished.out, "of the host\n") << finished;
    EXPECT_EQ(names(), std::vector<std::string>{"file"});
    EXPECT_EQ(text(shared_ / "file"), "of the host\n");
    struct stat info{};
    ASSERT_EQ(::stat((shared_ / "file").c_str(), &info), 0);
    EXPECT_NE(info.st_mode & 0777u, 0777u);
}

TEST_F(SharesTest, WritableOneIsWrittenThroughAndBelongsToTheUser) {
    auto finished =
        shell("echo from the guest > /s/new; mkdir /s/dir; ln /s/new /s/dir/link; rm /s/file; sync", share("rw"));
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(names(), (std::vector<std::string>{"dir", "new"}));
    EXPECT_EQ(text(shared_ / "new"), "from the guest\n");
    struct stat info{};
    ASSERT_EQ(::stat((shared_ / "new").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, ::geteuid());
    EXPECT_EQ(info.st_nlink, 2u);
}

TEST_F(SharesTest, WhatTheCommandWroteIsOnTheHostWithoutItsSync) {
    auto finished = shell("head -c 3000000 /dev/zero > /s/big", share("rw"));
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(std::filesystem::file_size(shared_ / "big"), 3'000'000u);
}

TEST_F(SharesTest, WritesToAnOverlayStayInTheGuest) {
    auto finished = shell("echo changed > /s/file; echo new > /s/new; cat /s/file /s/new", share("overlay"));
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(finished.out, "changed\nnew\n");
    EXPECT_EQ(names(), std::vector<std::string>{"file"});
    EXPECT_EQ(text(shared_ / "file"), "of the host\n");
}

TEST_F(SharesTest, LinkThatLeavesTheShareLeadsNowhere) {
    auto secret = home().write("secret", "of the host alone\n");
    std::filesystem::create_symlink(secret, shared_ / "absolute");
    std::filesystem::create_symlink("../secret", shared_ / "relative");
    std::filesystem::create_directory_symlink("..", shared_ / "up");
    for (const char* mode : {"ro", "rw", "overlay"}) {
        auto finished = shell(
            "cat /s/absolute; cat /s/relative; cat /s/up/secret; cat /s/../secret; "
            "cd /s/up && cat secret; echo x > /s/relative; true",
            share(mode));
        EXPECT_EQ(finished.out, "") << finished;
        EXPECT_EQ(text(secret), "of the host alone\n");
    }
}

TEST_F(SharesTest, GuestPathIsMadeFromTheTagWhenItIsLeftOut) {
    auto finished = shell("cat /mnt/shared/file", fmt::format("[[shares]]\nhost = \"{}\"\n", shared_.string()));
    EXPECT_EQ(finished.out, "of the host\n") << finished;
}

TEST_F(SharesTest, SeveralAreApart) {
    auto other = home().folder() / "other";
    ASSERT_TRUE(make_private_dir(other));
    auto finished =
        shell("echo a > /a/deep/new; echo b > /b/new",
              fmt::format("shares = [\"{}:/a/deep:rw\", \"{}:/b:ro\"]\n", shared_.string(), other.string()));
    EXPECT_EQ(finished.code, 1) << finished;
    EXPECT_EQ(names(), (std::vector<std::string>{"file", "new"}));
    EXPECT_TRUE(std::filesystem::is_empty(other));
}

TEST_F(SharesTest, DeviceNodesOfTheGuestReachNoDeviceOfTheHost) {
    // Whatever becomes of the node on the host, it opens nothing through the share.
    auto finished = shell("mknod /s/disk b 254 0; dd if=/s/disk of=/dev/null bs=512 count=1", share("rw"));
    EXPECT_NE(finished.code, 0) << finished;
}

}  // namespace
}  // namespace vmette::testing
