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
              "download 10.0 MiB of 100.0 MiB (10 %), 5.0 MiB/s, 18.0s left");
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

}  // namespace
}  // namespace vmette::cli
