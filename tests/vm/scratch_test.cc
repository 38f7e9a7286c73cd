#include "vm/scratch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/process.h"
#include "base/units.h"
#include "vm/scratch_template.h"

namespace vmette::vm {
namespace {

namespace fs = std::filesystem;

struct ScratchTest : testing::Test {
    TempDir folder = *TempDir::make();
    Layout layout{.cache = folder.path() / "cache", .state = {}, .runtime = {}, .config = {}};

    std::vector<fs::path> templates() const {
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(layout.scratch_templates_dir())) found.push_back(entry.path());
        return found;
    }
};

/// The descriptor's file as e2fsck sees it: 0 when it is a sound filesystem.
int check_filesystem(int fd) {
    ProcessSpec spec;
    spec.argv = {"e2fsck", "-f", "-n", "/proc/self/fd/3"};
    spec.descriptors = {{fd, 3}};
    auto checked = run_captured(spec, std::chrono::seconds(30));
    return checked ? WEXITSTATUS(checked->status) : -1;
}

struct stat look_at(int fd) {
    struct stat status{};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return status;
}

TEST_F(ScratchTest, IsASoundFilesystemOfExactlyTheSize) {
    for (std::uint64_t bytes : {4 * kMiB, 5 * kMiB + 4096, 64 * kMiB, 8 * kGiB}) {
        auto scratch = make_scratch(layout, bytes);
        ASSERT_TRUE(scratch) << scratch.error().text();
        EXPECT_EQ(static_cast<std::uint64_t>(look_at(scratch->get()).st_size), bytes);
        EXPECT_EQ(check_filesystem(scratch->get()), 0) << bytes;
    }
}

TEST_F(ScratchTest, NothingOfWhatOthersCanWriteIsUsed) {
    ASSERT_TRUE(make_scratch(layout, 16 * kMiB));
    auto made = templates().at(0);
    ASSERT_EQ(::chmod(made.c_str(), 0666), 0);
    ASSERT_TRUE(make_scratch(layout, 16 * kMiB));
    struct stat info{};
    ASSERT_EQ(::stat(made.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << "it was made again";
    for (const auto& path : {layout.cache, layout.scratch_templates_dir()}) {
        ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
        auto scratch = make_scratch(layout, 16 * kMiB);
        ASSERT_FALSE(scratch);
        EXPECT_EQ(scratch.error().text(),
                  path.string() + " can be written by other users (mode 0777): chmod go-w " + path.string());
        ASSERT_EQ(::chmod(path.c_str(), 0700), 0);
    }
}

TEST_F(ScratchTest, HasNoNameAndOccupiesLittle) {
    auto scratch = make_scratch(layout, 8 * kGiB);
    ASSERT_TRUE(scratch) << scratch.error().text();
    auto status = look_at(scratch->get());
    EXPECT_EQ(status.st_nlink, 0U);
    constexpr blkcnt_t kStatBlock = 512;
    EXPECT_LT(status.st_blocks * kStatBlock, static_cast<blkcnt_t>(kMiB));
    EXPECT_EQ(templates().size(), 1U);
}

TEST_F(ScratchTest, TwoDisksOfOneSizeShareNothing) {
    auto first = make_scratch(layout, 16 * kMiB);
    ASSERT_TRUE(first);
    ASSERT_EQ(::pwrite(first->get(), "dirt", 4, 8192), 4);
    auto second = make_scratch(layout, 16 * kMiB);
    ASSERT_TRUE(second);
    EXPECT_EQ(check_filesystem(second->get()), 0);
    char bytes[4] = {'x', 'x', 'x', 'x'};
    ASSERT_EQ(::pread(second->get(), bytes, 4, 8192), 4);
    EXPECT_NE(std::string_view(bytes, 4), "dirt");
    EXPECT_EQ(templates().size(), 1U);
}

TEST_F(ScratchTest, BrokenTemplateIsMadeAnew) {
    ASSERT_TRUE(make_scratch(layout, 16 * kMiB));
    fs::path path = templates().at(0);
    fs::resize_file(path, 1 * kMiB);
    auto after_truncation = make_scratch(layout, 16 * kMiB);
    ASSERT_TRUE(after_truncation) << after_truncation.error().text();
    EXPECT_EQ(check_filesystem(after_truncation->get()), 0);

    std::fstream(path, std::ios::in | std::ios::out).write(std::string(8192, '\0').data(), 8192);
    auto after_zeroes = make_scratch(layout, 16 * kMiB);
    ASSERT_TRUE(after_zeroes) << after_zeroes.error().text();
    EXPECT_EQ(check_filesystem(after_zeroes->get()), 0);
    EXPECT_EQ(templates().size(), 1U);
}

TEST_F(ScratchTest, SymbolicLinkInTheTemplatesPlaceIsReplacedNotFollowed) {
    ASSERT_TRUE(make_scratch(layout, 16 * kMiB));
    fs::path path = templates().at(0);
    fs::path elsewhere = folder.path() / "elsewhere";
    fs::rename(path, elsewhere);
    fs::create_symlink(elsewhere, path);
    ASSERT_TRUE(make_scratch(layout, 16 * kMiB));
    EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(path)));
}

TEST_F(ScratchTest, OnlyTheNewestTemplatesAreKept) {
    for (std::uint64_t i = 0; i < kMaxScratchTemplates + 3; ++i) ASSERT_TRUE(make_scratch(layout, 8 * kMiB + i * kMiB));
    EXPECT_EQ(templates().size(), kMaxScratchTemplates);
    std::error_code failed;
    EXPECT_TRUE(fs::exists(layout.scratch_templates_dir() / "v1-18874368.ext4", failed));
    EXPECT_FALSE(fs::exists(layout.scratch_templates_dir() / "v1-8388608.ext4", failed));
}

TEST_F(ScratchTest, ManyProcessesAtOnceEachGetASoundDisk) {
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
        pid_t pid = ::fork();
        if (pid == 0) {
            auto scratch = make_scratch(layout, 32 * kMiB);
            ::_exit(scratch && check_filesystem(scratch->get()) == 0 ? 0 : 1);
        }
        children.push_back(pid);
    }
    for (pid_t pid : children) {
        int status = -1;
        ::waitpid(pid, &status, 0);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(templates().size(), 1U);
}

TEST_F(ScratchTest, SizesOutOfBoundsAreRefused) {
    auto error = [&](std::uint64_t bytes) {
        auto scratch = make_scratch(layout, bytes);
        return scratch ? Error{} : scratch.error();
    };
    EXPECT_EQ(error(1 * kMiB).text(), "a scratch disk of 1.0 MiB is too small: at least 4.0 MiB");
    EXPECT_EQ(error(16 * kTiB).text(), "a scratch disk of 16.0 TiB is too large: less than 16 TiB");
    EXPECT_EQ(error(8 * kMiB + 512).text(), "a scratch disk of 8389120 bytes is no multiple of 4096 bytes");
    EXPECT_EQ(error(0).code, ErrorCode::bad_input);
    EXPECT_FALSE(fs::exists(layout.cache));
}

TEST_F(ScratchTest, MissingMkfsNamesThePackage) {
    fs::path empty = folder.path() / "empty";
    fs::create_directory(empty);
    if (fs::exists("/usr/sbin/mkfs.ext4") || fs::exists("/sbin/mkfs.ext4")) {
        // The sbin folders are always searched, so hide them behind an empty one, in a mount namespace of our own.
        if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs root to hide the installed mkfs.ext4";
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        ASSERT_EQ(::mount(empty.c_str(), "/usr/sbin", nullptr, MS_BIND, nullptr), 0);
    }
    const std::string path = ::getenv("PATH");
    ::setenv("PATH", empty.c_str(), 1);
    auto scratch = make_scratch(layout, 16 * kMiB);
    ::setenv("PATH", path.c_str(), 1);
    ::umount("/usr/sbin");
    ASSERT_FALSE(scratch);
    EXPECT_EQ(scratch.error().code, ErrorCode::not_found);
    EXPECT_EQ(scratch.error().text(),
              "a scratch disk needs mkfs.ext4, which is not installed (Debian package: e2fsprogs)");
}

TEST_F(ScratchTest, FullFilesystemIsNoSpace) {
    if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs root to mount a small filesystem";
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    fs::create_directories(layout.cache);
    ASSERT_EQ(::mount("tmpfs", layout.cache.c_str(), "tmpfs", 0, "size=64k,mode=0700"), 0);
    auto scratch = make_scratch(layout, 8 * kGiB);
    ::umount(layout.cache.c_str());
    ASSERT_FALSE(scratch);
    EXPECT_EQ(scratch.error().code, ErrorCode::no_space) << scratch.error().text();
}

}  // namespace
}  // namespace vmette::vm
