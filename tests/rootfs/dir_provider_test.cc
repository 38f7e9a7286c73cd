#include <stdlib.h>

#include "rootfs/fixture.h"

namespace vmette::rootfs {
namespace {

class DirProviderTest : public RootfsTest {};

TEST_F(DirProviderTest, FolderIsGivenByItsCanonicalPath) {
    std::filesystem::create_directories(dir / "tree");
    std::filesystem::create_directory_symlink("tree", dir / "alias");
    for (std::string source :
         {(dir / "tree").string(), (dir / "alias/../alias").string(), "dir:" + (dir / "alias").string()}) {
        auto resolved = resolve(source);
        ASSERT_TRUE(resolved) << source;
        EXPECT_EQ(resolved->kind, RootKind::directory);
        EXPECT_EQ(resolved->path, std::filesystem::canonical(dir / "tree"));
        EXPECT_EQ(resolved->provider, "dir");
        EXPECT_EQ(resolved->source, source);
        EXPECT_EQ(resolved->digest, "");
        EXPECT_FALSE(resolved->image);
    }
    EXPECT_TRUE(index.records.empty());
}

TEST_F(DirProviderTest, BareNameIsAFolderOnlyWhenItIsThere) {
    auto before = std::filesystem::current_path();
    std::filesystem::current_path(dir);
    std::filesystem::create_directory("alpine");
    EXPECT_EQ(registry.find("alpine")->name(), "dir");
    EXPECT_EQ(registry.find("debian")->name(), "oci");
    EXPECT_EQ(registry.find("./debian")->name(), "dir");
    auto resolved = resolve("alpine");
    std::filesystem::current_path(before);
    ASSERT_TRUE(resolved);
    EXPECT_EQ(resolved->path, std::filesystem::canonical(dir / "alpine"));
}

TEST_F(DirProviderTest, TildeIsTheHomeFolder) {
    std::filesystem::create_directories(dir / "home/tree");
    std::string before = ::getenv("HOME") != nullptr ? ::getenv("HOME") : "";
    ::setenv("HOME", (dir / "home").c_str(), 1);
    auto resolved = resolve("~/tree");
    ::unsetenv("HOME");
    EXPECT_EQ(error_of("~/tree"), "bad-input: the rootfs folder ~/tree is in the home folder, but HOME is not set");
    ::setenv("HOME", before.c_str(), 1);
    ASSERT_TRUE(resolved);
    EXPECT_EQ(resolved->path, std::filesystem::canonical(dir / "home/tree"));
}

TEST_F(DirProviderTest, WhatIsNoFolderIsRefused) {
    EXPECT_EQ(error_of("./no-such-folder"), "not-found: the rootfs folder ./no-such-folder does not exist");
    EXPECT_EQ(error_of("dir:"), "bad-input: dir: names no folder");
    auto file = write("r.tar", "x");
    auto canonical = std::filesystem::canonical(file).string();
    EXPECT_EQ(error_of(file.string()),
              "bad-input: the rootfs " + file.string() + " is not a folder; name the file as tar+file://" + canonical);
}

TEST_F(DirProviderTest, HostRootAndOwnFoldersAreRefused) {
    for (std::string root : {"/", "/usr/..", "//"})
        EXPECT_EQ(error_of(root),
                  "bad-input: the rootfs folder " + root + " is the host's own root, which no guest may see");
    std::filesystem::create_directories(layout.state / "runs");
    std::string own = (layout.state / "runs").string();
    EXPECT_EQ(error_of(own), "bad-input: the rootfs folder " + own + " lies in " + layout.state.string() +
                                 ", one of vmette's own folders, which no guest may see");
    // What holds such a folder shows it as well.
    EXPECT_EQ(error_of(dir.string()), "bad-input: the rootfs folder " + dir.string() + " holds " +
                                          layout.cache.string() +
                                          ", one of vmette's own folders, which no guest may see");
    // A neighbour whose name begins alike is another folder.
    std::filesystem::create_directories(dir / "state-of-mine");
    EXPECT_TRUE(resolve((dir / "state-of-mine").string()));
}

TEST_F(DirProviderTest, FileThatLooksLikeAnImageIsNamedAsOne) {
    auto file = write("r.squashfs", "x");
    auto canonical = std::filesystem::canonical(file).string();
    EXPECT_EQ(error_of(file.string()), "bad-input: the rootfs " + file.string() +
                                           " is not a folder; name the file as squashfs+file://" + canonical);
}

class FixedProvider final : public Provider {
public:
    std::string_view name() const override { return "fixed"; }
    std::string_view spellings() const override { return "fixed"; }
    bool matches(const std::string& source) const override { return source == "./mine"; }
    Result<Resolved> resolve(const std::string&, const Context&) const override {
        Resolved out;
        out.provider = "fixed";
        return out;
    }
};

TEST_F(DirProviderTest, RegisteredProviderComesBeforeTheBuiltIn) {
    EXPECT_EQ(registry.find("./mine")->name(), "dir");
    registry.register_provider(std::make_unique<FixedProvider>());
    EXPECT_EQ(resolve("./mine")->provider, "fixed");
    EXPECT_EQ(registry.find("./other")->name(), "dir");
    EXPECT_EQ(registry.providers().size(), 5U);
}

}  // namespace
}  // namespace vmette::rootfs
