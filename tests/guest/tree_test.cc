#include "guest/init/tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace vmette::guest {
namespace {

namespace fs = std::filesystem;

TEST(PlainPathTest, DropsWhatMeansNothing) {
    EXPECT_EQ(plain_path("/a//b/./c/").value(), "a/b/c");
    EXPECT_EQ(plain_path("/").value(), "");
    EXPECT_EQ(plain_path("").value(), "");
}

TEST(PlainPathTest, RefusesDotDotNulAndLength) {
    EXPECT_EQ(plain_path("/a/../b").error(), "\"..\" in the path /a/../b");
    EXPECT_FALSE(plain_path(std::string_view("/a\0b", 4)).has_value());
    EXPECT_FALSE(plain_path(std::string(4096, 'a')).has_value());
    EXPECT_TRUE(plain_path("/a..b/..c").has_value());
}

TEST(PlainPathTest, SplitsTheLastPartOff) {
    EXPECT_EQ(split_last("a/b/c"), std::make_pair(std::string("a/b"), std::string("c")));
    EXPECT_EQ(split_last("a"), std::make_pair(std::string(), std::string("a")));
}

/// A tree beside a folder that nothing in it may reach.
class TreeTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "vmette-tree-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        top_ = name;
        fs::create_directories(top_ / "root/etc");
        fs::create_directories(top_ / "outside");
    }
    void TearDown() override { fs::remove_all(top_); }

    Tree tree() { return std::move(*Tree::open((top_ / "root").c_str())); }
    std::string content(const fs::path& path) {
        std::ifstream in(path);
        return {std::istreambuf_iterator<char>(in), {}};
    }

    fs::path top_;
};

TEST_F(TreeTest, MakesFoldersWithTheirParents) {
    ASSERT_TRUE(tree().make_directory("/a/b/c").has_value());
    EXPECT_TRUE(fs::is_directory(top_ / "root/a/b/c"));
}

TEST_F(TreeTest, AbsoluteSymlinkStaysInTheTree) {
    fs::create_directory_symlink(top_ / "outside", top_ / "root/link");
    EXPECT_FALSE(tree().make_directory("/link/x").has_value());
    EXPECT_TRUE(fs::is_empty(top_ / "outside"));
}

TEST_F(TreeTest, RelativeSymlinkStaysInTheTree) {
    fs::create_directory_symlink("../outside", top_ / "root/link");
    EXPECT_FALSE(tree().put_file("/link/x", "text").has_value());
    EXPECT_TRUE(fs::is_empty(top_ / "outside"));
}

TEST_F(TreeTest, SymlinkWithinTheTreeIsFollowed) {
    fs::create_directories(top_ / "root/var/run");
    fs::create_directory_symlink("/var/run", top_ / "root/run");
    ASSERT_TRUE(tree().put_file("/run/x", "text").has_value());
    EXPECT_EQ(content(top_ / "root/var/run/x"), "text");
}

TEST_F(TreeTest, FileReplacesASymlinkInsteadOfFollowingIt) {
    std::ofstream(top_ / "outside/victim") << "untouched";
    fs::create_symlink(top_ / "outside/victim", top_ / "root/etc/hosts");
    ASSERT_TRUE(tree().put_file("/etc/hosts", "127.0.0.1 localhost\n").has_value());
    EXPECT_EQ(content(top_ / "outside/victim"), "untouched");
    EXPECT_FALSE(fs::is_symlink(top_ / "root/etc/hosts"));
    EXPECT_EQ(content(top_ / "root/etc/hosts"), "127.0.0.1 localhost\n");
}

TEST_F(TreeTest, FileReplacesAHardLinkInsteadOfWritingThroughIt) {
    std::ofstream(top_ / "root/precious") << "untouched";
    fs::create_hard_link(top_ / "root/precious", top_ / "root/etc/hosts");
    ASSERT_TRUE(tree().put_file("/etc/hosts", "ours").has_value());
    EXPECT_EQ(content(top_ / "root/precious"), "untouched");
}

TEST_F(TreeTest, FileHasTheModeThatWasAskedFor) {
    ASSERT_TRUE(tree().put_file("/secret", "x", 0400).has_value());
    EXPECT_EQ(fs::status(top_ / "root/secret").permissions(), fs::perms::owner_read);
}

TEST_F(TreeTest, FolderInTheWayOfAFileIsAnError) {
    fs::create_directories(top_ / "root/etc/hosts");
    EXPECT_EQ(tree().put_file("/etc/hosts", "x").error(), "replace /etc/hosts: Is a directory");
}

TEST_F(TreeTest, FileInTheWayOfAFolderIsAnError) {
    std::ofstream(top_ / "root/data") << "x";
    EXPECT_EQ(tree().make_directory("/data").error(), "folder /data: Not a directory");
}

TEST_F(TreeTest, ReadFileDoesNotWaitForAFifo) {
    ASSERT_EQ(mkfifo((top_ / "root/etc/passwd").c_str(), 0600), 0);
    EXPECT_EQ(read_file((top_ / "root/etc/passwd").c_str(), 1024), "");
}

TEST_F(TreeTest, ReadFileStopsAtItsLimit) {
    std::ofstream(top_ / "root/big") << std::string(10000, 'x');
    EXPECT_EQ(read_file((top_ / "root/big").c_str(), 5000).size(), 5000U);
}

}  // namespace
}  // namespace vmette::guest
