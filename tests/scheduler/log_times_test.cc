#include "scheduler/log_times.h"

#include <gtest/gtest.h>

#include "base/layout.h"
#include "scheduler/output.h"
#include "support/manual_clock.h"

namespace vmette::scheduler {
namespace {

using namespace std::chrono_literals;

struct LogTimesTest : ::testing::Test {
    void write(BoundedLog& log, std::string_view text, std::chrono::milliseconds after) {
        clock.advance(after);
        log.append(text);
    }
    std::uint64_t since(std::chrono::milliseconds after_start) {
        auto offset = offset_since(path, start + after_start);
        EXPECT_TRUE(offset) << offset.error().text();
        return offset.value_or(999);
    }
    TempDir folder = *TempDir::make();
    std::filesystem::path path = folder.path() / "log";
    ::vmette::testing::ManualClock clock;
    WallTime start = clock.now();
};

TEST_F(LogTimesTest, BeginsWithWhatWasWrittenThen) {
    auto log = BoundedLog::create(path, 1 << 20, clock);
    ASSERT_TRUE(log);
    write(*log, "first\n", 1s);
    write(*log, "second\n", 9s);
    write(*log, "third\n", 10s);
    EXPECT_EQ(since(0s), 0u);
    EXPECT_EQ(since(1s), 0u);
    EXPECT_EQ(since(5s), 6u);
    EXPECT_EQ(since(10s), 6u);
    EXPECT_EQ(since(19s), 13u);
    EXPECT_EQ(since(30s), 19u) << "nothing is that new";
}

TEST_F(LogTimesTest, BurstSharesOneEntryAndNothingNewIsMissed) {
    auto log = BoundedLog::create(path, 1 << 20, clock);
    ASSERT_TRUE(log);
    for (int i = 0; i < 1000; ++i) write(*log, "x", 1ms);
    EXPECT_EQ(std::filesystem::file_size(times_of(path)), 10u * 16);
    for (int ms : {150, 500, 999}) {
        EXPECT_LE(since(std::chrono::milliseconds(ms)), static_cast<std::uint64_t>(ms));
        EXPECT_GE(since(std::chrono::milliseconds(ms)), static_cast<std::uint64_t>(ms - 101));
    }
}

TEST_F(LogTimesTest, LongOutputCostsLessAndLess) {
    auto times = LogTimes::create(path);
    ASSERT_TRUE(times);
    for (std::uint64_t i = 0; i < 40000; ++i) {
        clock.advance(100ms);
        times->note(clock.now(), i);
    }
    EXPECT_LT(std::filesystem::file_size(times_of(path)), 21000u * 16);
}

TEST_F(LogTimesTest, LogWithoutTimesIsShownWhole) {
    auto log = BoundedLog::create(path, 1 << 20);
    ASSERT_TRUE(log);
    log->append("text");
    EXPECT_EQ(since(1h), 0u);
}

}  // namespace
}  // namespace vmette::scheduler
