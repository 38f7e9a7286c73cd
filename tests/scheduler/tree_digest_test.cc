#include "scheduler/tree_digest.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "base/layout.h"
#include "scheduler/tree_digests.h"
#include "support/manual_clock.h"

namespace vmette::scheduler {
namespace {

namespace fs = std::filesystem;

struct TreeDigestTest : ::testing::Test {
    TempDir folder = *TempDir::make();
    fs::path root = folder.path() / "tree";

    void SetUp() override { fs::create_directory(root); }
    void write(const fs::path& name, std::string_view text) const {
        fs::create_directories((root / name).parent_path());
        std::ofstream(root / name, std::ios::binary) << text;
    }
    std::string digest() const {
        auto found = digest_tree(root);
        return found ? found->digest : "error: " + found.error().text();
    }
    std::string listing() const { return *digest_tree(root)->listing; }
};

TEST_F(TreeDigestTest, EqualTreesInDifferentPlacesAreEqual) {
    write("a/one", "1");
    write("b", "2");
    auto first = digest();
    EXPECT_TRUE(first.starts_with("sha256:")) << first;
    auto other = folder.path() / "other";
    // In another order of making, and so perhaps of reading.
    fs::create_directories(other / "a");
    std::ofstream(other / "b") << "2";
    std::ofstream(other / "a/one") << "1";
    EXPECT_EQ(digest_tree(other)->digest, first);
    EXPECT_EQ(*digest_tree(other)->listing, listing());
}

TEST_F(TreeDigestTest, EveryPropertyCounts) {
    write("file", "content");
    fs::create_symlink("file", root / "link");
    std::set<std::string> seen{digest()};
    auto differs = [&](const char* what) { EXPECT_TRUE(seen.insert(digest()).second) << what; };
    write("file", "Content");
    differs("content");
    write("file", "Content and more");
    differs("length");
    ASSERT_EQ(::chmod((root / "file").c_str(), 0755), 0);
    differs("mode");
    fs::rename(root / "file", root / "other");
    differs("name");
    fs::remove(root / "link");
    fs::create_symlink("elsewhere", root / "link");
    differs("target of a link");
    fs::create_directory(root / "empty");
    differs("an empty folder");
    fs::remove(root / "empty");
    write("empty", "");
    differs("a file in place of a folder");
    fs::remove(root / "empty");
    write("sub/inner", "x");
    differs("a file below");
    fs::rename(root / "sub/inner", root / "inner");
    differs("a file moved up");
    ASSERT_EQ(::chmod(root.c_str(), 0711), 0);
    differs("mode of the folder itself");
}

TEST_F(TreeDigestTest, OwnerCounts) {
    write("file", "x");
    auto before = digest();
    if (::chown((root / "file").c_str(), 12345, 0) != 0) GTEST_SKIP() << "only root may give files away";
    EXPECT_NE(digest(), before);
}

TEST_F(TreeDigestTest, ExtendedAttributesCount) {
    write("file", "x");
    auto before = digest();
    if (::setxattr((root / "file").c_str(), "user.colour", "red", 3, 0) != 0)
        GTEST_SKIP() << "the file system has no attributes";
    auto red = digest();
    EXPECT_NE(red, before);
    ASSERT_EQ(::setxattr((root / "file").c_str(), "user.colour", "blue", 4, 0), 0);
    EXPECT_NE(digest(), red);
}

TEST_F(TreeDigestTest, TimesDoNotCount) {
    write("file", "x");
    auto before = digest();
    timespec times[2] = {{1'000'000, 0}, {1'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (root / "file").c_str(), times, 0), 0);
    EXPECT_EQ(digest(), before);
}

TEST_F(TreeDigestTest, LinksAreNotFollowed) {
    write("file", "x");
    fs::create_symlink("/", root / "up");
    fs::create_symlink(".", root / "loop");
    fs::create_symlink("nowhere", root / "dangling");
    auto before = digest();
    EXPECT_TRUE(before.starts_with("sha256:")) << before;
    auto outside = folder.path() / "outside";
    std::ofstream(outside) << "1";
    fs::create_symlink(outside, root / "out");
    auto with_link = digest();
    std::ofstream(outside) << "2";
    EXPECT_EQ(digest(), with_link);
}

TEST_F(TreeDigestTest, NamesThatAreNotUtf8AreNames) {
    write("a\xff", "x");
    auto first = digest();
    fs::rename(root / "a\xff", root / "a\xfe");
    EXPECT_NE(digest(), first);
    EXPECT_EQ(changed_files(std::string("0123456789abcdefa\xff\0", 19), listing(), 10).first.at(0), "new .");
}

TEST_F(TreeDigestTest, FifosSocketsAndDevicesDoNotHang) {
    ASSERT_EQ(::mkfifo((root / "fifo").c_str(), 0600), 0);
    auto with_fifo = digest();
    EXPECT_TRUE(with_fifo.starts_with("sha256:")) << with_fifo;
    int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    auto path = (root / "socket").string();
    ASSERT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ::close(socket);
    auto with_socket = digest();
    EXPECT_NE(with_socket, with_fifo);
    EXPECT_TRUE(with_socket.starts_with("sha256:")) << with_socket;
    if (::mknod((root / "zero").c_str(), S_IFCHR | 0600, ::makedev(1, 5)) != 0) GTEST_SKIP() << "no devices here";
    auto zero = digest();
    fs::remove(root / "zero");
    ASSERT_EQ(::mknod((root / "zero").c_str(), S_IFCHR | 0600, ::makedev(1, 3)), 0);
    EXPECT_NE(digest(), zero) << "another device";
}

TEST_F(TreeDigestTest, FilesAreReadPieceByPieceAndTheWorkCanBeCancelled) {
    std::ofstream file(root / "large");
    file.close();
    fs::resize_file(root / "large", 64 << 20);
    int polls = 0;
    auto found = digest_tree(root, [&] { return ++polls > 20; });
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::cancelled);
    EXPECT_TRUE(digest_tree(root, [&] { return ++polls, false; }));
    EXPECT_GT(polls, 100) << "once for every quarter of a MiB and more";
}

TEST_F(TreeDigestTest, SingleFilesHaveOneTooAndOtherThingsHaveNone) {
    write("disk", "1");
    auto one = digest_tree(root / "disk");
    ASSERT_TRUE(one);
    write("disk", "2");
    EXPECT_NE(digest_tree(root / "disk")->digest, one->digest);
    EXPECT_EQ(digest_tree(root / "missing").error().code, ErrorCode::not_found);
    ASSERT_EQ(::mkfifo((root / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(digest_tree(root / "fifo").error().code, ErrorCode::io);
    fs::create_symlink("disk", root / "link");
    EXPECT_EQ(digest_tree(root / "link")->digest, digest_tree(root / "disk")->digest);
}

TEST_F(TreeDigestTest, FoldersTooDeepAreRefused) {
    fs::path deep = root;
    for (int i = 0; i < 300; ++i) fs::create_directory(deep /= "d");
    auto found = digest_tree(root);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::unsupported);
}

TEST_F(TreeDigestTest, ChangedFilesAreNamedInOrder) {
    write("a", "1");
    write("b/c", "1");
    write("b-d", "1");
    auto before = listing();
    write("b/c", "2");
    write("e", "1");
    fs::remove(root / "a");
    auto changes = changed_files(before, listing(), 10);
    EXPECT_EQ(changes.first, (std::vector<std::string>{"gone a", "changed b/c", "new e"}));
    EXPECT_EQ(changes.count, 3U);
    changes = changed_files(before, listing(), 1);
    EXPECT_EQ(changes.first, (std::vector<std::string>{"gone a"}));
    EXPECT_EQ(changes.count, 3U);
    EXPECT_EQ(changed_files(before, before, 10), FileChanges{});
}

TEST_F(TreeDigestTest, DamagedListingsEndWhereTheyAreDamaged) {
    write("a", "1");
    auto good = listing();
    for (std::size_t length = 0; length < good.size(); ++length)
        EXPECT_LE(changed_files(std::string_view(good).substr(0, length), good, 10).count, 2U) << length;
    EXPECT_EQ(changed_files(std::string(100, '\0'), good, 10).count, 2U);
}

TEST_F(TreeDigestTest, LongListingsAreNotKept) {
    std::string name(200, 'n');
    for (int i = 0; i < 5200; ++i) write(name + std::to_string(i), "");
    auto found = digest_tree(root);
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->listing, nullptr);
}

struct TreeDigestsTest : TreeDigestTest {
    vmette::testing::ManualClock clock;
    TreeDigests digests{clock};
    /// Long after whatever the file system's clock says.
    void SetUp() override {
        TreeDigestTest::SetUp();
        clock.advance(std::chrono::hours(24 * 365 * 100));
    }
    std::string of() { return digests.of(root)->digest; }
};

TEST_F(TreeDigestsTest, TreeIsReadOnceAndAgainWhenItIsTouched) {
    write("a", "1");
    auto first = of();
    EXPECT_EQ(first, digest());
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(of(), first);
    EXPECT_EQ(digests.reads(), 1U);
    write("a", "2");
    EXPECT_EQ(of(), digest());
    EXPECT_NE(of(), first);
    EXPECT_EQ(digests.reads(), 2U);
    write("b", "2");
    EXPECT_EQ(of(), digest());
    EXPECT_EQ(digests.reads(), 3U);
}

TEST_F(TreeDigestsTest, ChangeThatKeepsSizeAndTimeIsSeen) {
    write("a", "1");
    timespec times[2] = {{1'000'000, 0}, {1'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (root / "a").c_str(), times, 0), 0);
    auto first = of();
    write("a", "2");
    ASSERT_EQ(::utimensat(AT_FDCWD, (root / "a").c_str(), times, 0), 0);
    EXPECT_NE(of(), first);
}

TEST_F(TreeDigestsTest, TreeTouchedJustNowIsReadAgain) {
    vmette::SystemClock now;
    TreeDigests careful(now);
    write("a", "1");
    ASSERT_TRUE(careful.of(root));
    ASSERT_TRUE(careful.of(root));
    EXPECT_EQ(careful.reads(), 2U) << "a change in the same tick of the clock would not be seen";
}

TEST_F(TreeDigestsTest, ManyThreadsShareOneReading) {
    for (int i = 0; i < 200; ++i) write(std::to_string(i), "x");
    auto expected = digest();
    std::atomic<int> wrong = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 16; ++i)
            threads.emplace_back([&] {
                for (int n = 0; n < 20; ++n)
                    if (auto found = digests.of(root); !found || found->digest != expected) ++wrong;
            });
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(digests.reads(), 1U);
}

TEST_F(TreeDigestsTest, OneThatGivesUpDoesNotSpoilTheOthers) {
    write("a", "1");
    std::atomic<int> cancelled = 0, fine = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i)
            threads.emplace_back([&, i] {
                for (int n = 0; n < 50; ++n) {
                    auto found = digests.of(root, [&] { return i % 2 == 0; });
                    if (found)
                        ++fine;
                    else if (i % 2 == 0 && found.error().code == ErrorCode::cancelled)
                        ++cancelled;
                }
            });
    }
    EXPECT_GE(fine, 4 * 50) << "those who did not give up";
    EXPECT_EQ(fine + cancelled, 8 * 50);
}

TEST_F(TreeDigestsTest, ErrorsAreNotRemembered) {
    auto other = folder.path() / "later";
    EXPECT_EQ(digests.of(other).error().code, ErrorCode::not_found);
    fs::create_directory(other);
    EXPECT_TRUE(digests.of(other));
}

}  // namespace
}  // namespace vmette::scheduler
