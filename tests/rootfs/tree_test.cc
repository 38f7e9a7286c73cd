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
    Inode* child(std::string_view name) const {
        auto found = root->children.find(name);
        return found != root->children.end() ? found->second : nullptr;
    }
    template <typename T>
    static std::string message(const Result<T>& result) {
        return result ? "no error" : result.error().message;
    }
    std::string listing() const { return list(*root, ""); }

public:
    /// "a/ a/b" for everything in a folder.
    static std::string list(const Folder& folder, const std::string& prefix) {
        std::string out;
        for (const auto& [key, inode] : folder.children) {
            std::string name(key);
            out += prefix + name + (inode->is_folder() ? "/ " : " ");
            if (inode->is_folder()) out += list(*inode->folder, prefix + name + "/");
        }
        return out;
    }

protected:
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
    EXPECT_EQ(child("d")->mode & 07777, 0700U);
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

/// Each path may go through forty links, and each link's target be 4,096 bytes long: together that is bounded.
TEST_F(TreeTest, WorkThatLinksMakeIsBounded) {
    std::string there_and_back;
    for (int i = 0; i < 800; ++i) there_and_back += "a/../";
    ASSERT_TRUE(folder("a"));
    for (int i = 1; i < 39; ++i)
        ASSERT_TRUE(symlink(fmt::format("l{}", i), there_and_back + (i == 1 ? "a" : fmt::format("l{}", i - 1))));
    std::string error;
    int paths = 0;
    for (; paths < 10'000 && error.empty(); ++paths)
        if (auto put = file(fmt::format("l38/f{}", paths)); !put) error = put.error().message;
    EXPECT_LT(paths, 1000);
    EXPECT_EQ(error.find("leads its entries through too many symbolic links (up to \"l38/f"), 0u) << error;
}

TEST_F(TreeTest, HardLinkSharesTheInodeAndOutlivesItsFirstName) {
    ASSERT_TRUE(file("a"));
    ASSERT_TRUE(tree.link("b", "a"));
    Inode* inode = child("b");
    EXPECT_EQ(inode->links, 2U);
    ASSERT_TRUE(file("a"));
    EXPECT_NE(child("a"), inode);
    EXPECT_EQ(inode->links, 1U);
}

TEST_F(TreeTest, HardLinkOverTheFolderThatHeldItsTargetKeepsTheTarget) {
    ASSERT_TRUE(file("d/x"));
    ASSERT_TRUE(tree.link("d", "d/x"));
    EXPECT_EQ(listing(), "d ");
    EXPECT_EQ(child("d")->links, 1U);
}

TEST_F(TreeTest, HardLinkToItselfChangesNothing) {
    ASSERT_TRUE(file("a"));
    ASSERT_TRUE(tree.link("a", "./a"));
    EXPECT_EQ(child("a")->links, 1U);
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

TEST_F(TreeTest, MarkersAreFilesLikeAnyOtherOutsideOfLayers) {
    EXPECT_FALSE(*tree.take_marker(".wh.x"));
    ASSERT_TRUE(file(".wh.x"));
    EXPECT_EQ(listing(), ".wh.x ");
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

/// Layers in which paths are files, paths that end in "/" folders, and the rest what take_marker() knows.
class LayersTest : public testing::Test {
protected:
    void layer(const std::vector<std::string>& entries) {
        tree.begin_layer();
        for (const auto& path : entries) {
            auto marker = tree.take_marker(path);
            ASSERT_TRUE(marker) << marker.error().message;
            if (*marker) continue;
            auto put = tree.put(path, of((path.ends_with('/') ? S_IFDIR : S_IFREG) | 0700));
            ASSERT_TRUE(put) << put.error().message;
        }
    }
    std::string listing() { return TreeTest::list(tree.root(), ""); }
    std::string refusal(const std::string& path) {
        auto marker = tree.take_marker(path);
        return marker ? "no error" : marker.error().message;
    }

    Tree tree{1000, TreeRules::layers};
};

TEST_F(LayersTest, WhiteoutHidesWhatLowerLayersHave) {
    layer({"a", "d/x", "d/sub/y", "e/z"});
    layer({".wh.a", ".wh.d", "e/.wh.z", "e/.wh.never", "nowhere/.wh.x", "e/z2/", "e/z2/.wh.x"});
    EXPECT_EQ(listing(), "e/ e/z2/ ");
    EXPECT_EQ(tree.root().self->links, 3U);
}

TEST_F(LayersTest, WhiteoutLeavesWhatItsOwnLayerPutBeforeOrAfterIt) {
    layer({"f", "d/", "d/old", "d/sub/old", "f2", "d2/", "d2/old", "d2/sub/old"});
    layer({".wh.f", ".wh.d", "f", "d/new", "d/sub/new", "f2", "d2/new", "d2/sub/new", ".wh.f2", ".wh.d2"});
    EXPECT_EQ(listing(), "d/ d/new d/sub/ d/sub/new d2/ d2/new d2/sub/ d2/sub/new f f2 ");
    for (const char* name : {"d", "d2"})
        EXPECT_EQ(tree.root().children.find(name)->second->mode & 07777, 0755U) << "the lower layer's mode is gone";
}

TEST_F(LayersTest, OpaqueFolderKeepsOnlyWhatItsLayerPuts) {
    layer({"d/", "d/old", "d/sub/old", "d/gone/x", "other"});
    layer({"d/before", "d/.wh..wh..opq", "d/sub/after", "d/old2/"});
    EXPECT_EQ(listing(), "d/ d/before d/old2/ d/sub/ d/sub/after other ");
    EXPECT_EQ(tree.root().children.find("d")->second->mode & 07777, 0700U) << "the folder itself is not hidden";
    layer({".wh..wh..opq"});
    EXPECT_EQ(listing(), "");
}

TEST_F(LayersTest, OpaqueFolderThatIsPutAgainInTheSameLayerIsGoneThroughOnce) {
    layer({"d/a"});
    layer({"d/.wh..wh..opq", "d/b", "d/.wh..wh..opq", "d/c"});
    EXPECT_EQ(listing(), "d/ d/b d/c ");
}

TEST_F(LayersTest, WhatAufsKeptForItselfMeansNothing) {
    layer({"a"});
    layer({".wh..wh.plnk/", ".wh..wh.plnk/123.456", ".wh..wh.aufs", "d/.wh..wh.orph/x"});
    EXPECT_EQ(listing(), "a ");
}

TEST_F(LayersTest, WhiteoutsThatClimbAreRefused) {
    layer({"d/x", "a"});
    EXPECT_EQ(refusal("d/.wh..."), "holds the whiteout \"d/.wh...\", which names no file");
    EXPECT_EQ(refusal("d/.wh.."), "holds the whiteout \"d/.wh..\", which names no file");
    EXPECT_EQ(refusal("d/.wh."), "holds the whiteout \"d/.wh.\", which names no file");
    EXPECT_EQ(refusal("../.wh.x"), "holds the entry \"../.wh.x\", whose name has \"..\" in it");
    EXPECT_EQ(refusal("d/../.wh..wh..opq"), "holds the entry \"d/../.wh..wh..opq\", whose name has \"..\" in it");
    EXPECT_EQ(refusal("d/.wh.x/y"), "holds the entry \"d/.wh.x/y\" beneath a whiteout");
    EXPECT_EQ(listing(), "a d/ d/x ");
}

TEST_F(LayersTest, FileOverFolderAndBack) {
    layer({"d/x", "f"});
    layer({"d", "f/", "f/y"});
    EXPECT_EQ(listing(), "d f/ f/y ");
    layer({"d/", "d/z", ".wh.f"});
    EXPECT_EQ(listing(), "d/ d/z ");
}

TEST_F(LayersTest, HardLinkToALowerLayersFileSharesItUntilOneIsReplaced) {
    layer({"a"});
    tree.begin_layer();
    ASSERT_TRUE(tree.link("b", "a"));
    ASSERT_TRUE(tree.link("c", "/a"));
    Inode* shared = tree.root().children.find("a")->second;
    EXPECT_EQ(shared->links, 3U);
    layer({"c", ".wh.a"});
    EXPECT_EQ(listing(), "b c ");
    EXPECT_EQ(tree.root().children.find("b")->second, shared);
    EXPECT_EQ(shared->links, 1U);
}

TEST_F(LayersTest, HardLinkOfThisLayerOutlivesTheWhiteoutOfItsTarget) {
    layer({"a"});
    tree.begin_layer();
    ASSERT_TRUE(tree.link("b", "a"));
    ASSERT_TRUE(tree.link("a", "a"));
    ASSERT_TRUE(*tree.take_marker(".wh.a"));
    ASSERT_TRUE(*tree.take_marker(".wh.b"));
    EXPECT_EQ(listing(), "a b ");
}

TEST_F(LayersTest, PathsAreThoseOfASystemWhoseRootIsTheTree) {
    layer({"usr/lib/", "/etc/passwd", "./etc/group"});
    ASSERT_TRUE(tree.put("lib", of(S_IFLNK), "/usr/lib"));
    ASSERT_TRUE(tree.put("up", of(S_IFLNK), "../../../etc"));
    layer({"lib/x", "up/hosts", "up/.wh.group"});
    EXPECT_EQ(listing(), "etc/ etc/hosts etc/passwd lib up usr/ usr/lib/ usr/lib/x ");
}

TEST_F(LayersTest, FolderOverASymlinkReplacesIt) {
    layer({"real/x"});
    ASSERT_TRUE(tree.put("d", of(S_IFLNK), "real"));
    layer({"d/", "d/y"});
    EXPECT_EQ(listing(), "d/ d/y real/ real/x ");
}

}  // namespace
}  // namespace vmette::rootfs
