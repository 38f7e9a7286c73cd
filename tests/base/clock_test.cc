#include "base/clock.h"

#include <random>

#include <gtest/gtest.h>

namespace vmette {
namespace {

WallTime at(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

TEST(ClockTest, InstantsAreWrittenInUtcWithMilliseconds) {
    EXPECT_EQ(format_rfc3339(at(0)), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(format_rfc3339(at(1'738'314'300'123)), "2025-01-31T09:05:00.123Z");
    EXPECT_EQ(format_rfc3339(at(-1)), "1969-12-31T23:59:59.999Z");
    EXPECT_EQ(format_rfc3339(at(253'402'300'799'999)), "9999-12-31T23:59:59.999Z");
}

TEST(ClockTest, EveryInstantReadsBack) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 2000; ++i) {
        WallTime time = at(static_cast<std::int64_t>(random() % 253'402'300'800'000));
        EXPECT_EQ(parse_rfc3339(format_rfc3339(time)), time);
    }
}

TEST(ClockTest, AllSpellingsOfTheStandardAreRead) {
    WallTime nine = at(1'738'314'300'000);
    for (const char* text : {"2025-01-31T09:05:00Z", "2025-01-31t09:05:00z", "2025-01-31 09:05:00Z",
                             "2025-01-31T09:05:00.0Z", "2025-01-31T10:05:00+01:00", "2025-01-31T03:35:00-05:30",
                             "2025-02-01T09:04:00.000000000+23:59", "2025-01-31T09:04:60Z"})
        EXPECT_EQ(parse_rfc3339(text), nine) << text;
    EXPECT_EQ(parse_rfc3339("2025-01-31"), at(1'738'281'600'000));
    EXPECT_EQ(parse_rfc3339("2024-02-29"), at(1'709'164'800'000));
}

TEST(ClockTest, FractionsFinerThanMillisecondsAreDropped) {
    EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.9Z"), at(900));
    EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.98Z"), at(980));
    EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.9876543210987654321Z"), at(987));
}

TEST(ClockTest, AnythingElseIsRefused) {
    for (const char* text : {"",
                             "now",
                             "2025",
                             "2025-1-1",
                             "2025-13-01",
                             "2025-02-29",
                             "2025-00-10",
                             "2025-01-00",
                             "25-01-01",
                             "  25-01-01",
                             "+025-01-01",
                             "-001-01-01",
                             "2025-+1-01",
                             "2025- 1-01",
                             "2025-01-31T",
                             "2025-01-31X09:05:00Z",
                             "2025-01-31T09:05Z",
                             "2025-01-31T24:00:00Z",
                             "2025-01-31T09:60:00Z",
                             "2025-01-31T09:05:61Z",
                             "2025-01-31T09:05:00",
                             "2025-01-31T09:05:00.Z",
                             "2025-01-31T09:05:00.123",
                             "2025-01-31T09:05:00Zx",
                             "2025-01-31T09:05:00+1:00",
                             "2025-01-31T09:05:00+0100",
                             "2025-01-31T09:05:00+24:00",
                             "2025-01-31T09:05:00+01:60",
                             "2025-01-31T09:05:00+-1:00",
                             "2025-01-31T 9: 5: 0Z",
                             "2025-01-31T-9:05:00Z",
                             "2025-01-31T09:05:00+01:00Z",
                             "20250-01-01"}) {
        auto time = parse_rfc3339(text);
        ASSERT_FALSE(time) << text;
        EXPECT_EQ(time.error().code, ErrorCode::bad_input);
        EXPECT_EQ(time.error().message, fmt::format("\"{}\" is not a date or time (RFC 3339)", text));
    }
    EXPECT_FALSE(parse_rfc3339(std::string_view("2025-01-31\0", 11)));
}

TEST(ClockTest, SystemClockMovesOn) {
    SystemClock clock;
    auto steady = clock.monotonic();
    EXPECT_GE(clock.now(), at(1'700'000'000'000));
    EXPECT_GE(clock.monotonic(), steady);
}

}  // namespace
}  // namespace vmette
