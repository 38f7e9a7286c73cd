#include "base/layout.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

#include <gtest/gtest.h>

namespace vmette {
namespace {

/// Sets the variables that decide, and puts them back.
class LayoutTest : public ::testing::Test {
protected:
    static constexpr const char* kNames[] = {"HOME",
                                             "XDG_CACHE_HOME",
                                             "XDG_STATE_HOME",
                                             "XDG_RUNTIME_DIR",
                                             "XDG_CONFIG_HOME",
                                             "VMETTE_CACHE_DIR",
                                             "VMETTE_STATE_DIR",
                                             "VMETTE_RUNTIME_DIR",
                                             "VMETTE_CONFIG_DIR"};
    LayoutTest() {
        for (const char* name : kNames) {
            const char* value = ::getenv(name);
            before_.emplace_back(name, value != nullptr ? std::optional<std::string>(value) : std::nullopt);
            ::unsetenv(name);
        }
    }
    ~LayoutTest() override {
        for (const auto& [name, value] : before_) value ? ::setenv(name, value->c_str(), 1) : ::unsetenv(name);
    }
    static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

private:
    std::vector<std::pair<const char*, std::optional<std::string>>> before_;
};

TEST_F(LayoutTest, HomeAloneIsEnough) {
    set("HOME", "/home/u");
    auto layout = layout_from_environment();
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->cache, "/home/u/.cache/vmette");
    EXPECT_EQ(layout->state, "/home/u/.local/state/vmette");
    EXPECT_EQ(layout->config, "/home/u/.config/vmette");
    EXPECT_EQ(layout->runtime, "/home/u/.local/state/vmette/run");
}

TEST_F(LayoutTest, XdgBeatsHomeAndOursBeatsXdg) {
    set("HOME", "/home/u");
    set("XDG_CACHE_HOME", "/xc");
    set("XDG_STATE_HOME", "/xs");
    set("XDG_CONFIG_HOME", "/xf");
    set("XDG_RUNTIME_DIR", "/xr");
    auto xdg = layout_from_environment();
    ASSERT_TRUE(xdg);
    EXPECT_EQ(xdg->cache, "/xc/vmette");
    EXPECT_EQ(xdg->state, "/xs/vmette");
    EXPECT_EQ(xdg->config, "/xf/vmette");
    EXPECT_EQ(xdg->runtime, "/xr/vmette");
    set("VMETTE_CACHE_DIR", "/oc");
    set("VMETTE_STATE_DIR", "/os/");
    set("VMETTE_CONFIG_DIR", "/of");
    set("VMETTE_RUNTIME_DIR", "/or");
    auto own = layout_from_environment();
    ASSERT_TRUE(own);
    EXPECT_EQ(own->cache, "/oc");
    EXPECT_EQ(own->database(), "/os/vmette.db");
    EXPECT_EQ(own->config, "/of");
    EXPECT_EQ(own->runtime, "/or");
}

TEST_F(LayoutTest, EmptyVariablesCountAsUnset) {
    set("HOME", "/home/u");
    set("XDG_CACHE_HOME", "");
    set("VMETTE_STATE_DIR", "");
    auto layout = layout_from_environment();
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->cache, "/home/u/.cache/vmette");
    EXPECT_EQ(layout->state, "/home/u/.local/state/vmette");
}

TEST_F(LayoutTest, RelativePathsAreOfTheWorkingDirectory) {
    set("HOME", "/home/u");
    set("VMETTE_CACHE_DIR", "a/../b");
    EXPECT_EQ(layout_from_environment()->cache, std::filesystem::current_path() / "b");
}

TEST_F(LayoutTest, WithoutAnyPlaceItSaysWhatToSet) {
    auto layout = layout_from_environment();
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().code, ErrorCode::bad_input);
    EXPECT_EQ(layout.error().text(),
              "set HOME, XDG_CACHE_HOME or VMETTE_CACHE_DIR: nothing says where vmette may keep its files");
}

TEST_F(LayoutTest, EveryThingHasItsPlace) {
    Layout layout{"/c", "/s", "/r", "/f"};
    EXPECT_EQ(layout.run_dir("id"), "/s/runs/id");
    EXPECT_EQ(layout.live_dir("id"), "/r/runs/id");
    EXPECT_EQ(layout.image("abc"), "/c/images/abc.squashfs");
    EXPECT_EQ(layout.lock("x"), "/c/locks/x.lock");
    EXPECT_EQ(layout.config_file(), "/f/config.toml");
    EXPECT_EQ(layout.certs_dir(), "/f/certs");
}

mode_t mode(const std::filesystem::path& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

TEST(PrivateDirTest, EveryFolderThatIsMadeIsPrivate) {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder);
    ASSERT_EQ(::chmod(folder->path().c_str(), 0755), 0);
    auto deep = folder->path() / "a" / "b" / "c";
    ASSERT_TRUE(make_private_dir(deep));
    ASSERT_TRUE(make_private_dir(deep)) << "again is no error";
    for (auto path = deep; path != folder->path(); path = path.parent_path()) EXPECT_EQ(mode(path), 0700u) << path;
    EXPECT_EQ(mode(folder->path()), 0755u) << "what was there stays as it was";
}

TEST(PrivateDirTest, FileInTheWayIsNamed) {
    auto folder = TempDir::make();
    ASSERT_TRUE(folder);
    auto file = folder->path() / "f";
    std::ofstream(file) << "x";
    EXPECT_EQ(make_private_dir(file).error().text(), file.string() + " is not a folder");
    EXPECT_EQ(make_private_dir(file / "g").error().text(),
              fmt::format("create the folder {}: Not a directory", (file / "g").string()));
}

TEST(CacheDirTest, IsTheUsersAloneAndSoIsTheCacheAroundIt) {
    auto temp = TempDir::make();
    ASSERT_TRUE(temp);
    auto cache = temp->path() / "cache", folder = cache / "images";
    EXPECT_EQ(require_cache_dir(folder).error().code, ErrorCode::not_found);
    ASSERT_TRUE(make_cache_dir(folder));
    ASSERT_TRUE(require_cache_dir(folder));
    for (const auto& path : {cache, folder}) {
        for (mode_t open : {0770u, 0702u, 01777u}) {
            ASSERT_EQ(::chmod(path.c_str(), open), 0);
            auto text = fmt::format("{} can be written by other users (mode {:04o}): chmod go-w {}", path.string(),
                                    open, path.string());
            EXPECT_EQ(require_cache_dir(folder).error().text(), text);
            EXPECT_EQ(make_cache_dir(folder).error().text(), text);
        }
        ASSERT_EQ(::chmod(path.c_str(), 0755), 0) << "reading is no harm";
        EXPECT_TRUE(make_cache_dir(folder));
    }
}

TEST(CacheDirTest, AnotherUsersIsRefused) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make a folder another user's";
    auto temp = TempDir::make();
    ASSERT_TRUE(temp);
    auto cache = temp->path() / "cache", folder = cache / "images";
    ASSERT_TRUE(make_cache_dir(folder));
    for (const auto& path : {cache, folder}) {
        ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
        EXPECT_EQ(make_cache_dir(folder).error().text(),
                  path.string() + " belongs to another user (uid 12345): what it holds cannot be trusted");
        ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
    }
}

TEST(TempDirTest, RemovedWithAllItHolds) {
    std::filesystem::path path;
    {
        auto folder = TempDir::make();
        ASSERT_TRUE(folder);
        path = folder->path();
        EXPECT_EQ(mode(path), 0700u);
        std::filesystem::create_directories(path / "a/b");
        std::ofstream(path / "a/b/c") << "x";
        TempDir moved = *std::move(folder);
        EXPECT_EQ(moved.path(), path);
        EXPECT_TRUE(std::filesystem::exists(path));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(TempDirTest, FolderThatIsNotThereIsNamed) {
    auto made = TempDir::make("/nonexistent");
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().text(), "create a temporary folder in /nonexistent: No such file or directory");
}

}  // namespace
}  // namespace vmette
