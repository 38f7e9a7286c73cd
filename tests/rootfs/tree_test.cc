#include "rootfs/worker/tree.h"

#include <gtest/gtest.h>

namespace vmette::rootfs {
namespace {

Inode of(std::uint32_t mode) {
    Inode inode;
    inode.mode = mode;
    return inode;
}

class TreeTest : public testing::Test {
protected:
    Result<Inode*> file(std::string_view path) { return tree.put(path, of(S_IFREG | 0644)); }
    Result<Inode*> folder(std::string_view path) { return tree.put(path, of(S_IFDIR | 0755)); }
    Result<Inode*> symlink(std::string_view path, std::string_view to) {
        return tree.put(path, of(S_IFLNK | 0777), to);
    }
    template <typename T>
    static std::string message(const Result<T>& result) {
        return result ? "no error" : result.error().message;
    }
    /// "a/ a/b" for everything in the tree.
    std::string listing() const { return list(*root, ""); }
    static std::string list(const Folder& folder, const std::string& prefix) {
        std::string out;
        for (const auto& [key, inode] : folder.children) {
            std::string name(key);
            out += prefix + name + (inode->is_folder() ? "/ " : " ");
            if (inode->is_folder()) out += list(*inode->folder, prefix + name + "/");
        }
        return out;
    }

    Tree tree{1000};
    Folder* root = &tree.root();
};

TEST_F(TreeTest, ParentsThatNoEntryNamesAreMade) {
    ASSERT_TRUE(file("./a//b/./c"));
    EXPECT_EQ(listing(), "a/ a/b/ a/b/c ");
}

TEST_F(TreeTest, FolderOverFolderKeepsTheChildrenAndTakesTheNewMode) {
    ASSERT_TRUE(file("d/x"));
    ASSERT_TRUE(tree.put("d/", of(S_IFDIR | 0700)));
    EXPECT_EQ(listing(), "d/ d/x ");
    EXPECT_EQ(root->children.at("d")->mode & 07777, 0700U);
}

TEST_F(TreeTest, FileReplacesAFolderWithAllThatIsInIt) {
    ASSERT_TRUE(file("d/sub/x"));
    ASSERT_TRUE(file("d"));
    EXPECT_EQ(listing(), "d ");
    ASSERT_TRUE(file("d2/y"));
    ASSERT_TRUE(folder("d"));
    EXPECT_EQ(listing(), "d/ d2/ d2/y ");
    EXPECT_EQ(root->self->links, 4U);
}

TEST_F(TreeTest, HardLinkSharesTheInodeAndOutlivesItsFirstName) {
    ASSERT_TRUE(file("a"));
    ASSERT_TRUE(tree.link("b", "a"));
    Inode* inode = root->children.at("b");
    EXPECT_EQ(inode->links, 2U);
    ASSERT_TRUE(file("a"));
    EXPECT_NE(root->children.at("a"), inode);
    EXPECT_EQ(inode->links, 1U);
}

TEST_F(TreeTest, HardLinkOverTheFolderThatHeldItsTargetKeepsTheTarget) {
    ASSERT_TRUE(file("d/x"));
    ASSERT_TRUE(tree.link("d", "d/x"));
    EXPECT_EQ(listing(), "d ");
    EXPECT_EQ(root->children.at("d")->links, 1U);
}

TEST_F(TreeTest, HardLinkToItselfChangesNothing) {
    ASSERT_TRUE(file("a"));
    ASSERT_TRUE(tree.link("a", "./a"));
    EXPECT_EQ(root->children.at("a")->links, 1U);
}

TEST_F(TreeTest, ParentSymlinksAreFollowedInside) {
    ASSERT_TRUE(folder("usr/lib"));
    ASSERT_TRUE(symlink("lib", "usr/lib"));
    ASSERT_TRUE(symlink("usr/lib64", "../usr/./lib"));
    ASSERT_TRUE(file("lib/x"));
    ASSERT_TRUE(file("usr/lib64/y"));
    EXPECT_EQ(listing(), "lib usr/ usr/lib/ usr/lib/x usr/lib/y usr/lib64 ");
}

TEST_F(TreeTest, SymlinksThatLeadOutOrInCirclesAreRefused) {
    ASSERT_TRUE(symlink("abs", "/etc"));
    ASSERT_TRUE(symlink("up", "d/../../x"));
    ASSERT_TRUE(symlink("one", "two"));
    ASSERT_TRUE(symlink("two", "one"));
    EXPECT_EQ(message(file("abs/passwd")),
              "holds the entry \"abs/passwd\" beneath the symbolic link \"abs\" to \"/etc\", which leads out of it");
    EXPECT_EQ(message(file("up/y")),
              "holds the entry \"up/y\" beneath the symbolic link \"up\" to \"d/../../x\", which leads out of it");
    EXPECT_EQ(message(file("one/x")), "holds the entry \"one/x\", whose path goes through too many symbolic links");
}

TEST_F(TreeTest, PathsThatLeaveAreRefused) {
    EXPECT_EQ(message(file("/etc/passwd")), "holds the entry \"/etc/passwd\", whose name is absolute");
    EXPECT_EQ(message(file("a/../../x")), "holds the entry \"a/../../x\", whose name has \"..\" in it");
    EXPECT_EQ(message(file("..")), "holds the entry \"..\", whose name has \"..\" in it");
    ASSERT_TRUE(file("f"));
    EXPECT_EQ(message(file("f/x")), "holds the entry \"f/x\", but \"f\" in its path is not a folder");
    EXPECT_EQ(message(file("./")), "holds the entry \"./\", which is to be its root but is not a folder");
}

TEST_F(TreeTest, LinksThatLeaveOrLeadNowhereAreRefused) {
    EXPECT_EQ(message(tree.link("h", "/etc/passwd")),
              "holds the hard link \"h\" to \"/etc/passwd\", which lies outside of it");
    EXPECT_EQ(message(tree.link("h", "../x")), "holds the hard link \"h\" to \"../x\", which lies outside of it");
    EXPECT_EQ(message(tree.link("h", "later")),
              "holds the hard link \"h\" to \"later\", which does not come before it");
    ASSERT_TRUE(folder("d"));
    EXPECT_EQ(message(tree.link("h", "d")), "holds the hard link \"h\" to \"d\", which is a folder");
    EXPECT_EQ(message(tree.link("h", ".")), "holds the hard link \"h\" to \".\", which is a folder");
}

TEST_F(TreeTest, NamesInMessagesAreHarmless) {
    EXPECT_EQ(message(file("/a\x1b[2J\n")), "holds the entry \"/a\\x1b[2J\\x0a\", whose name is absolute");
}

TEST_F(TreeTest, LongNamesAndDeepPathsAreRefused) {
    EXPECT_TRUE(file(std::string(255, 'n')));
    EXPECT_NE(message(file(std::string(256, 'n'))).find("whose name is longer than 255 bytes"), std::string::npos);
    EXPECT_NE(message(file(std::string(5000, '/'))).find("is absolute"), std::string::npos);
    EXPECT_NE(message(file("a" + std::string(5000, '/') + "b")).find("longer than 4096 bytes"), std::string::npos);
}

TEST_F(TreeTest, ImpliedFoldersCountAsEntries) {
    Tree small(10);
    std::string deep = "1/2/3/4/5/6/7/8/9/10/11";
    EXPECT_EQ(message(small.put(deep, of(S_IFREG))), "holds more than 10 entries");
}

TEST_F(TreeTest, SymlinksCannotDigDeeperThanPathsCan) {
    Tree deep(1'000'000);
    // Each round goes 2000 folders deeper through a link to the bottom.
    std::string chain, bottom;
    for (int i = 0; i < 2000; ++i) chain += "d/";
    ASSERT_TRUE(deep.put(chain, of(S_IFDIR)));
    chain.pop_back();
    ASSERT_TRUE(deep.put("bottom", of(S_IFLNK), chain));
    EXPECT_NE(message(deep.put("bottom/" + chain, of(S_IFDIR))).find("deeper than 2048 folders"), std::string::npos);
}

}  // namespace
}  // namespace vmette::rootfs
