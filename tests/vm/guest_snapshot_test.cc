/// Machines that start from a booted guest.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <set>

#include "base/digest.h"
#include "tests/vm/guest_fixture.h"
#include "vm/snapshots.h"

namespace vmette::vm::testing {
namespace {

class GuestSnapshotTest : public GuestFixture {
protected:
    VmSpec warm_spec() {
        auto out = spec();
        out.warm = true;
        out.root.upper = Upper::scratch;
        out.scratch_bytes = 64 * kMiB;
        return out;
    }
    void make(const VmSpec& spec) {
        auto made = Snapshots(layout_).make(*host_, spec, std::chrono::seconds(20), -1);
        ASSERT_TRUE(made) << made.error().text();
        ASSERT_TRUE(ledger_.live.empty());
    }
    /// What a fresh machine says to a script.
    std::string answer(const VmSpec& spec, const std::string& script) {
        session_.reset();
        seen_ = {};
        run(spec, script);
        EXPECT_TRUE(session_ && session_->warm());
        return seen_.out;
    }
    /// The root folder as an image of 8 MiB.
    void squash(const std::filesystem::path& image, std::vector<std::string> more) {
        ProcessSpec squash;
        squash.argv = {"mksquashfs", (folder_->path() / "root").string(), image.string(), "-quiet", "-no-progress"};
        squash.argv.insert(squash.argv.end(), more.begin(), more.end());
        auto made = run_captured(squash, std::chrono::seconds(30));
        ASSERT_TRUE(made && made->ok());
        std::filesystem::resize_file(image, 8 * kMiB);
    }
    std::filesystem::path file_of(const VmSpec& spec) { return *Snapshots(layout_).place(spec); }
};

TEST_F(GuestSnapshotTest, StartsFromItWithAClockAndRandomnessOfItsOwn) {
    auto spec = warm_spec();
    make(spec);
    ASSERT_FALSE(HasFatalFailure());
    std::set<std::string> random;
    for (int i = 0; i < 3; ++i) {
        auto before = std::chrono::duration_cast<std::chrono::seconds>(clock_.now().time_since_epoch()).count();
        auto said = answer(spec, "busybox date +%s; head -c 16 /dev/urandom | busybox od -x");
        ASSERT_GT(said.size(), 20u);
        auto guest_time = std::stoll(said);
        EXPECT_GE(guest_time, before);
        EXPECT_LE(guest_time, before + 20);
        random.insert(said.substr(said.find('\n')));
    }
    EXPECT_EQ(random.size(), 3u);
}

TEST_F(GuestSnapshotTest, NothingOfAMachineReachesTheSnapshotOrTheNext) {
    auto spec = warm_spec();
    make(spec);
    ASSERT_FALSE(HasFatalFailure());
    auto before = sha256_file(file_of(spec));
    ASSERT_TRUE(before);
    EXPECT_EQ(answer(spec, "echo secret > /file; echo secret > /tmp/file; sync; cat /file"), "secret\n");
    EXPECT_EQ(answer(spec, "ls /file /tmp/file 2>/dev/null; echo none"), "none\n");
    session_.reset();
    EXPECT_EQ(sha256_file(file_of(spec)).value_or(""), *before);
}

TEST_F(GuestSnapshotTest, ServesAnotherImageOfTheSameSize) {
    auto spec = warm_spec();
    std::ofstream(folder_->path() / "root/marker") << "other";
    auto other = folder_->path() / "other.squashfs";
    squash(other, {});
    std::filesystem::resize_file(spec.root.path, 8 * kMiB);
    make(spec);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(answer(spec, "cat /marker 2>/dev/null || echo none"), "none\n");
    spec.root.path = other;
    EXPECT_EQ(answer(spec, "cat /marker"), "other");
}

TEST_F(GuestSnapshotTest, HoldsNothingOfTheImageThatItWasMadeWith) {
    auto spec = warm_spec();
    auto plain = spec.root.path;
    std::filesystem::resize_file(plain, 8 * kMiB);
    // The first file's bytes stand in the image as they are, right behind the superblock: where a disk has its
    // partition table there is one, of a single partition.
    constexpr std::size_t kSuperblock = 96, kTable = 446, kMagic = 510;
    std::string file(4096, '\0');
    file.replace(kTable - kSuperblock, 16, std::string("\x80\1\1\0\x83\1\1\0\x08\0\0\0\x08\0\0\0", 16));
    file.replace(kMagic - kSuperblock, 2, "\x55\xAA");
    std::ofstream(folder_->path() / "root/first") << file;
    std::ofstream(folder_->path() / "order") << "first 1\n";
    auto parted = folder_->path() / "parted.squashfs";
    squash(parted, {"-noD", "-no-fragments", "-sort", (folder_->path() / "order").string()});
    const std::string script = "busybox grep 'vd[a-z]1' /proc/partitions; ls -d /dev/vd?1 2>/dev/null; echo seen";
    spec.root.path = parted;
    run(spec, script);
    ASSERT_FALSE(session_->warm());
    ASSERT_NE(seen_.out, "seen\n") << "the kernel does not take this for a partition table";
    session_.reset();
    make(spec);
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_EQ(answer(spec, script), "seen\n");
    spec.root.path = plain;
    EXPECT_EQ(answer(spec, script), "seen\n");
}

TEST_F(GuestSnapshotTest, BrokenOneKillsTheMachineAndIsNotUsedAgain) {
    auto spec = warm_spec();
    make(spec);
    ASSERT_FALSE(HasFatalFailure());
    auto file = open_file(file_of(spec), O_RDWR);
    ASSERT_TRUE(file);
    ASSERT_EQ(::pwrite(file->get(), "garbage", 7, static_cast<off_t>(spec.memory_bytes)), 7);
    auto started = Session::start(io_, *host_, spec, seen_);
    ASSERT_TRUE(started) << started.error().text();
    EXPECT_TRUE((*started)->warm());
    ASSERT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }));
    EXPECT_FALSE(seen_.has("hello"));
    EXPECT_FALSE(std::filesystem::exists(file_of(spec)));
    EXPECT_FALSE(Snapshots(layout_).worth_making(spec));
    EXPECT_TRUE((*started)->pull().empty());
    seen_ = {};
    run(spec, "echo booted");
    EXPECT_FALSE(session_->warm());
    EXPECT_EQ(seen_.out, "booted\n");
    Snapshots(layout_).note_boot(spec);
    EXPECT_FALSE(Snapshots(layout_).worth_making(spec));
    auto mark = file_of(spec).replace_extension(".failed");
    std::filesystem::last_write_time(mark, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(11));
    EXPECT_TRUE(Snapshots(layout_).worth_making(spec)) << "not for ever";
}

TEST_F(GuestSnapshotTest, MemoryCutOffUnderTheMachineIsItsDeath) {
    auto spec = warm_spec();
    make(spec);
    ASSERT_FALSE(HasFatalFailure());
    set_up(spec);
    ASSERT_TRUE(session_->warm());
    std::filesystem::resize_file(file_of(spec), 0);
    exec({"/bin/sh", "-c", "ls -R / > /dev/null"});
    ASSERT_TRUE(run_until(io_, [&] { return seen_.death.has_value(); }));
    EXPECT_EQ(session_->pull(), std::vector<std::string>());
}

TEST_F(GuestSnapshotTest, OfAnEarlierBootOfTheHostGoWhenOneIsMade) {
    auto spec = warm_spec();
    std::filesystem::create_directories(layout_.snapshots_dir());
    auto old = layout_.snapshots_dir() / "00000000-1.vm";
    std::ofstream(old) << "old";
    make(spec);
    EXPECT_FALSE(std::filesystem::exists(old));
    EXPECT_TRUE(std::filesystem::exists(file_of(spec)));
}

TEST_F(GuestSnapshotTest, GuestThatDoesNotComeUpMakesNone) {
    auto spec = warm_spec();
    spec.extra_cmdline = "init=/none rdinit=/none";
    auto made = Snapshots(layout_).make(*host_, spec, std::chrono::seconds(20), -1);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::vm);
    EXPECT_TRUE(ledger_.live.empty());
    EXPECT_FALSE(std::filesystem::exists(file_of(spec)));
    EXPECT_FALSE(Snapshots(layout_).worth_making(spec));
}

TEST_F(GuestSnapshotTest, MakingOneIsInterrupted) {
    auto spec = warm_spec();
    Fd stop(::eventfd(1, EFD_CLOEXEC));
    auto begin = std::chrono::steady_clock::now();
    auto made = Snapshots(layout_).make(*host_, spec, std::chrono::seconds(20), stop.get());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::cancelled);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
    EXPECT_TRUE(ledger_.live.empty());
    EXPECT_FALSE(std::filesystem::exists(file_of(spec)));
}

TEST_F(GuestSnapshotTest, OnlyOneProcessMakesIt) {
    auto spec = warm_spec();
    std::filesystem::create_directories(layout_.snapshots_dir());
    auto lock = open_file(layout_.snapshots_dir() / "making.lock", O_RDWR | O_CREAT);
    ASSERT_TRUE(lock);
    ASSERT_EQ(::flock(lock->get(), LOCK_EX), 0);
    auto made = Snapshots(layout_).make(*host_, spec, std::chrono::seconds(20), -1);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, ErrorCode::busy);
}

}  // namespace
}  // namespace vmette::vm::testing
