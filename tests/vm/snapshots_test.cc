/// Where snapshots are kept and when one is used; the making of them is in guest_snapshot_test.cc.

#include "vm/snapshots.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace vmette::vm {
namespace {

class SnapshotsTest : public ::testing::Test {
protected:
    void SetUp() override {
        ::setenv("VMETTE_QEMU", "/bin/true", 1);
        for (const char* name : {"vmlinux", "initramfs", "root"}) write(name, 4096);
        spec_.run_id = "one";
        spec_.kernel = folder_.path() / "vmlinux";
        spec_.initramfs = folder_.path() / "initramfs";
        spec_.root.path = folder_.path() / "root";
        spec_.root.upper = Upper::scratch;
        spec_.scratch_bytes = 64 * kMiB;
    }
    void TearDown() override { ::unsetenv("VMETTE_QEMU"); }

    void write(const std::string& name, std::size_t bytes) {
        std::ofstream(folder_.path() / name) << std::string(bytes, 'x');
    }
    /// A file of that size where the snapshot would be.
    std::filesystem::path put(std::uint64_t bytes) {
        auto path = *snapshots_.place(spec_);
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path).put('x');
        std::filesystem::resize_file(path, bytes);
        return path;
    }

    TempDir folder_ = *TempDir::make();
    Layout layout_{folder_.path() / "cache", {}, {}, {}};
    Snapshots snapshots_{layout_};
    VmSpec spec_;
};

TEST_F(SnapshotsTest, PlaceStandsForWhatTheGuestWasBuiltOf) {
    auto place = snapshots_.place(spec_);
    ASSERT_TRUE(place);
    EXPECT_EQ(place->parent_path(), layout_.snapshots_dir());
    auto changed = [&](auto change) {
        VmSpec other = spec_;
        change(other);
        return snapshots_.place(other) != place;
    };
    EXPECT_TRUE(changed([](VmSpec& s) { s.memory_bytes = 256 * kMiB; }));
    EXPECT_TRUE(changed([](VmSpec& s) { s.vcpus = 2; }));
    EXPECT_TRUE(changed([](VmSpec& s) { s.net = NetMode::nat; }));
    EXPECT_TRUE(changed([](VmSpec& s) { s.scratch_bytes = 65 * kMiB; }));
    EXPECT_TRUE(changed([](VmSpec& s) { s.root.upper = Upper::memory; }));
    EXPECT_TRUE(changed([](VmSpec& s) { s.extra_cmdline = "loglevel=7"; }));
    EXPECT_TRUE(changed([](VmSpec& s) { s.tsc_khz = 1; }));
    EXPECT_FALSE(changed([](VmSpec& s) { s.run_id = "two"; }));
    EXPECT_FALSE(changed([](VmSpec& s) { s.warm = true; }));
}

TEST_F(SnapshotsTest, PlaceChangesWithTheFiles) {
    for (const char* name : {"vmlinux", "initramfs", "root"}) {
        auto before = snapshots_.place(spec_);
        write(name, 8192);
        EXPECT_NE(snapshots_.place(spec_), before) << name;
    }
    // Of the root only its size is known to the guest: another image of that size serves as well.
    auto before = snapshots_.place(spec_);
    write("root2", 8192);
    spec_.root.path = folder_.path() / "root2";
    EXPECT_EQ(snapshots_.place(spec_), before);
}

TEST_F(SnapshotsTest, SomeMachinesAlwaysBoot) {
    auto boots = [&](auto change) {
        VmSpec other = spec_;
        change(other);
        return !snapshots_.place(other) && !snapshots_.open(other) && !snapshots_.worth_making(other);
    };
    EXPECT_TRUE(boots([](VmSpec& s) { s.accel = Accel::kvm; }));
    EXPECT_TRUE(boots([](VmSpec& s) { s.root.source = RootSource::directory; }));
    EXPECT_TRUE(boots([](VmSpec& s) { s.disks = {{"/d", "/data", false}}; }));
    EXPECT_TRUE(boots([](VmSpec& s) { s.shares = {{"t", "/h", "/s", ShareMode::ro}}; }));
    EXPECT_TRUE(boots([](VmSpec& s) { s.vsock = true; }));
    EXPECT_TRUE(boots([](VmSpec& s) { s.root.path = "/not/there"; }));
}

TEST_F(SnapshotsTest, OpensAWholeFileAtTheDevicesState) {
    EXPECT_FALSE(snapshots_.open(spec_));
    auto path = put(spec_.memory_bytes + 100);
    auto opened = snapshots_.open(spec_);
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->path, path);
    EXPECT_EQ(::lseek(opened->file.get(), 0, SEEK_CUR), static_cast<off_t>(spec_.memory_bytes));
}

TEST_F(SnapshotsTest, DoesNotOpenWhatIsNoSnapshot) {
    auto path = put(spec_.memory_bytes);
    EXPECT_FALSE(snapshots_.open(spec_)) << "it holds no state";
    std::filesystem::rename(path, folder_.path() / "elsewhere");
    std::filesystem::resize_file(folder_.path() / "elsewhere", spec_.memory_bytes + 100);
    std::filesystem::create_symlink(folder_.path() / "elsewhere", path);
    EXPECT_FALSE(snapshots_.open(spec_)) << "it is a link";
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    EXPECT_FALSE(snapshots_.open(spec_)) << "it is a folder";
}

TEST_F(SnapshotsTest, OneThatOthersCouldHaveWrittenIsRemoved) {
    auto path = put(spec_.memory_bytes + 100);
    ASSERT_EQ(::chmod(path.c_str(), 0620), 0);
    EXPECT_FALSE(snapshots_.open(spec_));
    EXPECT_FALSE(std::filesystem::exists(path));
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make a file another user's";
    put(spec_.memory_bytes + 100);
    ASSERT_EQ(::chown(path.c_str(), 12345, 12345), 0);
    EXPECT_FALSE(snapshots_.open(spec_));
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SnapshotsTest, FolderThatOthersCanWriteIsNeitherReadNorWritten) {
    auto path = put(spec_.memory_bytes + 100);
    snapshots_.note_boot(spec_);
    EXPECT_TRUE(snapshots_.check_folder());
    for (const auto& folder : {layout_.cache, layout_.snapshots_dir()}) {
        ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
        EXPECT_EQ(snapshots_.check_folder().error().code, ErrorCode::io);
        EXPECT_FALSE(snapshots_.open(spec_));
        EXPECT_FALSE(snapshots_.worth_making(spec_));
        VmSpec other = spec_;
        other.memory_bytes *= 2;
        snapshots_.note_boot(other);
        ASSERT_EQ(::chmod(folder.c_str(), 0700), 0);
        EXPECT_FALSE(snapshots_.worth_making(other)) << "nothing was noted";
    }
    EXPECT_TRUE(std::filesystem::exists(path));
    EXPECT_TRUE(snapshots_.open(spec_));
}

TEST_F(SnapshotsTest, IsWorthMakingOnceTheMachineHasBootedAndNotAfterAFailure) {
    EXPECT_FALSE(snapshots_.worth_making(spec_));
    snapshots_.note_boot(spec_);
    EXPECT_TRUE(snapshots_.worth_making(spec_));
    auto path = put(spec_.memory_bytes + 100);
    distrust_snapshot(path);
    EXPECT_FALSE(std::filesystem::exists(path));
    EXPECT_FALSE(snapshots_.worth_making(spec_));
}

TEST_F(SnapshotsTest, BootingManyKindsOfMachinesLeavesFewMarks) {
    for (std::uint64_t i = 1; i <= 300; ++i) {
        spec_.memory_bytes = i * kMiB;
        snapshots_.note_boot(spec_);
    }
    EXPECT_TRUE(snapshots_.worth_making(spec_));
    std::size_t marks = 0;
    for (const auto& entry : std::filesystem::directory_iterator(layout_.snapshots_dir())) marks += entry.exists();
    EXPECT_LE(marks, 256u);
}

}  // namespace
}  // namespace vmette::vm
