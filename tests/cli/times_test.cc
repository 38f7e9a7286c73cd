#include "cli/times.h"

#include <gtest/gtest.h>

namespace vmette::cli {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const WallTime kNow = parse_rfc3339("2025-03-10T12:00:00Z").value();

std::string when(std::string_view text) {
    auto parsed = parse_when(text, kNow);
    return parsed ? format_rfc3339(*parsed) : parsed.error().message;
}

TEST(ParseWhenTest, ReadsHowLongAgo) {
    EXPECT_EQ(when("30s"), "2025-03-10T11:59:30.000Z");
    EXPECT_EQ(when("90m"), "2025-03-10T10:30:00.000Z");
    EXPECT_EQ(when("12h"), "2025-03-10T00:00:00.000Z");
    EXPECT_EQ(when("7d"), "2025-03-03T12:00:00.000Z");
    EXPECT_EQ(when("2w"), "2025-02-24T12:00:00.000Z");
}

TEST(ParseWhenTest, ReadsDatesAndTimes) {
    EXPECT_EQ(when("2025-01-31"), "2025-01-31T00:00:00.000Z");
    EXPECT_EQ(when("2025-01-31T09:05:00+02:00"), "2025-01-31T07:05:00.000Z");
}

TEST(ParseWhenTest, RefusesTheRest) {
    for (std::string_view text : {"", "7", "d", "-7d", "7 d", "7y", "1.5h", "999999999999w", "99999999999999999999d",
                                  "2025-02-30", "yesterday"}) {
        auto parsed = parse_when(text, kNow);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().code, ErrorCode::bad_input);
    }
    EXPECT_EQ(when("soon"),
              "'soon' is no time: write how long ago (30m, 12h, 7d, 2w), a date (2025-01-31) or a time "
              "(2025-01-31T09:00:00Z)");
}

TEST(AgeTest, GrowsCoarser) {
    EXPECT_EQ(age(kNow - seconds(119), kNow), "119s");
    EXPECT_EQ(age(kNow - minutes(2), kNow), "2m");
    EXPECT_EQ(age(kNow - hours(2), kNow), "2h");
    EXPECT_EQ(age(kNow - days(3), kNow), "3d");
    EXPECT_EQ(age(kNow - days(90), kNow), "12w");
    EXPECT_EQ(age(kNow - days(800), kNow), "2y");
    EXPECT_EQ(age(kNow + hours(1), kNow), "0s");
}

TEST(ShortDurationTest, FitsATable) {
    EXPECT_EQ(short_duration(milliseconds(43)), "43ms");
    EXPECT_EQ(short_duration(milliseconds(1290)), "1.2s");
    EXPECT_EQ(short_duration(seconds(125)), "2m05s");
    EXPECT_EQ(short_duration(minutes(62)), "1h02m");
    EXPECT_EQ(short_duration(milliseconds(-5)), "0ms");
}

}  // namespace
}  // namespace vmette::cli
