#include "cli/progress.h"

#include <gtest/gtest.h>

namespace vmette::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ProgressTest, SaysNoRateBeforeThereIsOne) {
    EXPECT_EQ(progress_text({"download", 10 * kMiB, 100 * kMiB}, milliseconds(100)),
              "download 10.0 MiB of 100.0 MiB (10 %)");
}

TEST(ProgressTest, SaysRateAndTimeLeft) {
    EXPECT_EQ(progress_text({"download", 10 * kMiB, 100 * kMiB}, seconds(2)),
              "download 10.0 MiB of 100.0 MiB (10 %), 5.0 MiB/s, 18s left");
}

TEST(ProgressTest, UnknownTotalHasNoTimeLeft) {
    EXPECT_EQ(progress_text({"unpack", 10 * kMiB, 0}, seconds(2)), "unpack 10.0 MiB, 5.0 MiB/s");
}

TEST(ProgressTest, MoreThanTheTotalIsNotMoreThanAll) {
    EXPECT_EQ(progress_text({"download", 30 * kMiB, 10 * kMiB}, milliseconds(1)),
              "download 30.0 MiB of 10.0 MiB (100 %)");
}

TEST(ProgressTest, StepOfTheGuestIsHarmless) {
    EXPECT_EQ(progress_text({"\x1b[2J", 0, 0}, seconds(0)), "\\x1b[2J 0 B");
}

class ProgressBoardTest : public ::testing::Test {
protected:
    void hear(std::string_view step, std::uint64_t done, std::uint64_t total, std::string_view item) {
        board.hear({step, done * kMiB, total * kMiB, item}, now);
    }
    ProgressBoard board;
    MonotonicTime now{};
};

TEST_F(ProgressBoardTest, ShowsEachLayerAndWhatTheyAddUpTo) {
    hear("download", 10, 10, "sha256:aaaaaaaaaaaaaaaa");
    hear("download", 5, 20, "sha256:bbbbbbbbbbbbbbbb");
    now += seconds(1);
    EXPECT_EQ(board.lines(now, 8), (std::vector<std::string>{
                                       "  sha256:bbbbbbbbbbbb  5.0 MiB of 20.0 MiB (25 %)",
                                       "  sha256:aaaaaaaaaaaa  10.0 MiB",
                                       "download 15.0 MiB of 30.0 MiB (50 %), 15.0 MiB/s, 1s left",
                                   }));
    EXPECT_EQ(board.lines(now, 1).at(1), "  and 1 more");
}

TEST_F(ProgressBoardTest, OneThingAloneIsOneLine) {
    hear("download", 5, 20, "sha256:bbbbbbbbbbbbbbbb");
    EXPECT_EQ(board.lines(now, 8), std::vector<std::string>{"download 5.0 MiB of 20.0 MiB (25 %)"});
}

TEST_F(ProgressBoardTest, LaterStepCountsOnceAllIsWhole) {
    hear("download", 5, 20, "a");
    hear("unpack", 1, 0, "");
    EXPECT_EQ(board.lines(now, 8).back(), "download 5.0 MiB of 20.0 MiB (25 %)");
    hear("download", 20, 20, "a");
    hear("unpack", 2, 0, "");
    EXPECT_EQ(board.lines(now, 8), std::vector<std::string>{"unpack 2.0 MiB"});
}

TEST_F(ProgressBoardTest, EachLayerIsToldOnceWhenItIsWhole) {
    hear("download", 5, 20, "a\x1b");
    EXPECT_TRUE(board.take_whole().empty());
    hear("download", 20, 20, "a\x1b");
    EXPECT_EQ(board.take_whole(), std::vector<std::string>{"download a\\x1b (20.0 MiB)"});
    EXPECT_TRUE(board.take_whole().empty());
}

}  // namespace
}  // namespace vmette::cli
