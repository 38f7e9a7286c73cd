#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest/init/cgroup.h"
#include "guest/init/filesystems.h"
#include "guest/init/launch.h"

namespace vmette::guest {
namespace {

std::string disk_with(std::size_t offset, std::string_view magic, std::size_t size = kProbeSize) {
    std::string disk(size, '\0');
    disk.replace(offset, magic.size(), magic);
    return disk;
}

TEST(FilesystemsTest, AreToldApartByTheirMagic) {
    EXPECT_STREQ(detect_filesystem(disk_with(0, "hsqs")), "squashfs");
    EXPECT_STREQ(detect_filesystem(disk_with(1024, "\xe2\xe1\xf5\xe0")), "erofs");
    EXPECT_STREQ(detect_filesystem(disk_with(1080, "\x53\xef")), "ext4");
    EXPECT_STREQ(detect_filesystem(disk_with(0, "XFSB")), "xfs");
    EXPECT_STREQ(detect_filesystem(disk_with(65600, "_BHRfS_M")), "btrfs");
    EXPECT_STREQ(detect_filesystem(disk_with(32769, "CD001")), "iso9660");
    EXPECT_STREQ(detect_filesystem(disk_with(82, "FAT32   ")), "vfat");
}

TEST(FilesystemsTest, EmptyAndShortDisksHoldNone) {
    EXPECT_EQ(detect_filesystem(std::string(kProbeSize, '\0')), nullptr);
    EXPECT_EQ(detect_filesystem(""), nullptr);
    EXPECT_EQ(detect_filesystem("hsq"), nullptr);
    EXPECT_EQ(detect_filesystem(disk_with(0, "\xeb\x63\x90", 512)), nullptr);
}

constexpr std::uint64_t kMiB = 1ULL << 20;

TEST(CommandMemoryTest, IsAllButTheReserve) { EXPECT_EQ(command_memory({512 << 20, 64 << 20, 0}), 448ULL << 20); }

TEST(CommandMemoryTest, ReserveHasAFloor) { EXPECT_EQ(command_memory({512 << 20, 0, 0}), 504ULL << 20); }

TEST(CommandMemoryTest, IsNeverLessThanHalf) {
    EXPECT_EQ(command_memory({64 << 20, 60 << 20, 0}), 32ULL << 20);
    EXPECT_EQ(command_memory({64 << 20, 1ULL << 60, 0}), 32ULL << 20);
}

TEST(ChurnTest, IsACacheThatIsFetchedOverAndOverAtTheLimit) {
    constexpr std::uint64_t kLimit = 480 * kMiB, kCache = 2 * kMiB;
    const MemoryLook before{kLimit, kCache, 100 * kMiB};
    EXPECT_TRUE(is_churning(before, {kLimit, kCache, 110 * kMiB}, kLimit));
    EXPECT_FALSE(is_churning(before, {kLimit, kCache, 109 * kMiB}, kLimit)) << "it comes and goes";
    EXPECT_FALSE(is_churning(before, {kLimit, 100 * kMiB, 200 * kMiB}, kLimit)) << "a large file is read";
    EXPECT_FALSE(is_churning(before, {kLimit / 2, kCache, 110 * kMiB}, kLimit)) << "there is room";
    EXPECT_FALSE(is_churning(before, before, kLimit));
    EXPECT_FALSE(is_churning(before, {kLimit, 0, 0}, kLimit)) << "figures that cannot be read are 0";
}

TEST(NumbersTest, OnlyWholeDecimalsWithinTheLimitAreRead) {
    std::uint64_t value = 0;
    EXPECT_TRUE(parse_number("18446744073709551615", UINT64_MAX, value));
    EXPECT_EQ(value, UINT64_MAX);
    EXPECT_FALSE(parse_number("18446744073709551616", UINT64_MAX, value));
    EXPECT_FALSE(parse_number("", 10, value));
    EXPECT_FALSE(parse_number("-1", 10, value));
    EXPECT_FALSE(parse_number("1 ", 10, value));
    EXPECT_FALSE(parse_number("11", 10, value));
}

TEST(NumbersTest, FigureIsFoundByItsKey) {
    constexpr char kEvents[] = "low 0\nhigh 1\noom 2\noom_kill 3\noom_group_kill 4\n";
    EXPECT_EQ(number_after(kEvents, "oom"), 2U);
    EXPECT_EQ(number_after(kEvents, "oom_kill"), 3U);
    EXPECT_EQ(number_after(kEvents, "max"), 0U);
}

TEST(EnvironmentTest, IsPassedAsSentWithWhatIsMissing) {
    wire::Exec exec;
    exec.env = {{"A", "1"}, {"B", "x=y"}};
    Account account;
    account.home = "/home/agent";
    EXPECT_THAT(
        make_environment(exec, account),
        ::testing::ElementsAre("A=1", "B=x=y", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                               "HOME=/home/agent"));
}

TEST(EnvironmentTest, WhatWasSentWins) {
    wire::Exec exec;
    exec.tty = true;
    exec.env = {{"PATH", "/x"}, {"HOME", "/y"}, {"TERM", "dumb"}};
    EXPECT_THAT(make_environment(exec, Account{}), ::testing::ElementsAre("PATH=/x", "HOME=/y", "TERM=dumb"));
}

TEST(EnvironmentTest, TerminalHasAName) {
    wire::Exec exec;
    exec.tty = true;
    EXPECT_THAT(make_environment(exec, Account{}), ::testing::Contains("TERM=xterm"));
}

}  // namespace
}  // namespace vmette::guest
