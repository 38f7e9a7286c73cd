#include "scheduler/throttle.h"

#include <gtest/gtest.h>

namespace vmette::scheduler {
namespace {

constexpr Pressure kNone{0, 0, 0};
constexpr Pressure kShort{0, 50, 0};

TEST(ThrottleTest, StartsSlowlyAndGrowsWithEveryMachineThatCameUp) {
    Throttle throttle(8, 2);
    EXPECT_EQ(throttle.window(), 4U);
    for (int i = 0; i < 10; ++i) throttle.came_up();
    EXPECT_EQ(throttle.window(), 8U);
}

TEST(ThrottleTest, NeverExceedsThePoolAndNeverStops) {
    EXPECT_EQ(Throttle(1, 64).window(), 1U);
    EXPECT_EQ(Throttle(8, 0).window(), 1U);
    Throttle throttle(8, 2);
    for (int second = 0; second < 60; ++second) throttle.sample(kShort, second * 1000);
    EXPECT_EQ(throttle.window(), 1U);
}

TEST(ThrottleTest, HalvesUnderPressureAndGrowsAgainAfterIt) {
    Throttle throttle(16, 8);
    EXPECT_EQ(throttle.window(), 16U);
    throttle.sample(kShort, 0);
    EXPECT_EQ(throttle.window(), 8U);
    throttle.sample(kShort, Throttle::kSettleTime - 1);
    EXPECT_EQ(throttle.window(), 8U) << "what was done has had no time to help";
    throttle.came_up();
    EXPECT_EQ(throttle.window(), 8U);
    throttle.sample(kNone, Throttle::kSettleTime);
    throttle.came_up();
    EXPECT_EQ(throttle.window(), 9U);
}

TEST(ThrottleTest, HostThatDoesNotTellItsPressureIsNotHeldBack) {
    Throttle throttle(16, 8);
    throttle.sample({}, 0);
    EXPECT_EQ(throttle.window(), 16U);
}

TEST(ThrottleTest, ReadsTheKernelsText) {
    EXPECT_DOUBLE_EQ(some_avg10("some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=0.00"), 12.5);
    for (const char* text : {"", "full avg10=1.0", "some avg10=", "some avg10=x", "some avg10=-1", "some avg10=1e9"})
        EXPECT_LT(some_avg10(text), 0) << text;
}

}  // namespace
}  // namespace vmette::scheduler
