#include "base/units.h"

#include <random>

#include <gtest/gtest.h>

namespace vmette {
namespace {

constexpr std::uint64_t kLargest = 0x7FFF'FFFF'FFFF'FFFF;

TEST(SizeTest, UnitsArePowersOf1024AndBareNumbersMiB) {
    struct Case {
        const char* text;
        std::uint64_t bytes;
    };
    for (const Case& one : {Case{"0", 0},
                            {"1", kMiB},
                            {"512", 512 * kMiB},
                            {"1K", kKiB},
                            {"8G", 8 * kGiB},
                            {"512M", 512 * kMiB},
                            {"64KiB", 64 * kKiB},
                            {"64KB", 64 * kKiB},
                            {"1T", kTiB},
                            {"1TiB", kTiB},
                            {"007M", 7 * kMiB},
                            {"0G", 0},
                            {"8388607T", 8388607 * kTiB}})
        EXPECT_EQ(parse_size(one.text), one.bytes) << one.text;
}

TEST(SizeTest, AnythingElseIsRefusedWithWhatWasExpected) {
    for (const char* text : {"", " ", "G", "-1", "-1G", "+1G", "1.5G", "1g", "1 G", " 1G", "1G ", "1Gi", "1GiBs", "1P",
                             "0x10", "1e3", "1,000", "1KK", "\xC2\xB5"}) {
        auto size = parse_size(text);
        ASSERT_FALSE(size) << text;
        EXPECT_EQ(size.error().code, ErrorCode::bad_input);
        EXPECT_EQ(size.error().message,
                  fmt::format("\"{}\" is not a size: a whole number with K, M, G or T, or a bare number of MiB", text));
    }
}

TEST(SizeTest, WhatOverflowsIsTooLarge) {
    for (const char* text :
         {"8388608T", "9007199254740992K", "8796093022208", "18446744073709551615", "99999999999999999999999T"}) {
        auto size = parse_size(text);
        ASSERT_FALSE(size) << text;
        EXPECT_EQ(size.error().message, fmt::format("the size \"{}\" is too large", text));
    }
    EXPECT_EQ(parse_size("9007199254740991K"), kLargest - 1023);
}

TEST(SizeTest, IntegersOfMiB) {
    EXPECT_EQ(size_from_mib(0), 0u);
    EXPECT_EQ(size_from_mib(3), 3 * kMiB);
    EXPECT_EQ(size_from_mib(-1).error().message, "a size cannot be negative");
    EXPECT_EQ(size_from_mib(8796093022207), 8796093022207 * kMiB);
    EXPECT_EQ(size_from_mib(8796093022208).error().message, "the size \"8796093022208\" is too large");
}

TEST(SizeTest, WrittenInTheLargestUnitThatIsExact) {
    EXPECT_EQ(format_size(0), "0");
    EXPECT_EQ(format_size(8 * kGiB), "8G");
    EXPECT_EQ(format_size(1536 * kMiB), "1536M");
    EXPECT_EQ(format_size(100 * kKiB), "100K");
    EXPECT_EQ(format_size(1), "1K");
    EXPECT_EQ(format_size(kMiB + 1), "1025K");
}

TEST(SizeTest, EverySizeOfWholeKibReadsBack) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 2000; ++i) {
        std::uint64_t size = (random() >> (1 + random() % 62)) / kKiB * kKiB;
        EXPECT_EQ(parse_size(format_size(size)), size) << size;
    }
    EXPECT_EQ(parse_size(format_size(kLargest - 1023)), kLargest - 1023);
}

TEST(DurationTest, UnitsAndBareSeconds) {
    struct Case {
        const char* text;
        std::int64_t ms;
    };
    for (const Case& one : {Case{"0", 0},
                            {"30", 30'000},
                            {"500ms", 500},
                            {"30s", 30'000},
                            {"10m", 600'000},
                            {"2h", 7'200'000},
                            {"87840h", 316'224'000'000}})
        EXPECT_EQ(parse_duration(one.text), Duration(one.ms)) << one.text;
}

TEST(DurationTest, AnythingElseIsRefusedWithWhatWasExpected) {
    for (const char* text : {"", "s", "-1s", "1.5s", "1 s", "1d", "1M", "1S", "1h30m", "1sec", "inf"}) {
        auto duration = parse_duration(text);
        ASSERT_FALSE(duration) << text;
        EXPECT_EQ(duration.error().code, ErrorCode::bad_input);
        EXPECT_EQ(duration.error().message,
                  fmt::format("\"{}\" is not a duration: a whole number with ms, s, m or h, or a bare number of "
                              "seconds",
                              text));
    }
}

TEST(DurationTest, MoreThanTenYearsIsTooLarge) {
    for (const char* text : {"87841h", "316224001", "316224000001ms", "99999999999999999999ms"})
        EXPECT_EQ(parse_duration(text).error().message, fmt::format("the duration \"{}\" is too large", text));
    EXPECT_EQ(duration_from_seconds(316'224'000), Duration(316'224'000'000));
    EXPECT_EQ(duration_from_seconds(316'224'001).error().message, "the duration \"316224001\" is too large");
    EXPECT_EQ(duration_from_seconds(-1).error().message, "a duration cannot be negative");
}

TEST(DurationTest, EveryDurationReadsBack) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 2000; ++i) {
        Duration duration(static_cast<std::int64_t>((random() % 316'224'000'000) >> (random() % 38)));
        EXPECT_EQ(parse_duration(format_duration(duration)), duration) << duration.count();
    }
    EXPECT_EQ(format_duration(Duration(0)), "0s");
    EXPECT_EQ(format_duration(Duration(1500)), "1500ms");
    EXPECT_EQ(format_duration(Duration(90'000)), "90s");
    EXPECT_EQ(format_duration(Duration(7'200'000)), "2h");
}

TEST(HumanUnitsTest, SizesForPeople) {
    EXPECT_EQ(human_size(0), "0 B");
    EXPECT_EQ(human_size(1023), "1023 B");
    EXPECT_EQ(human_size(1024), "1.0 KiB");
    EXPECT_EQ(human_size(kGiB + kGiB / 2), "1.5 GiB");
    EXPECT_EQ(human_size(~0ULL), "16777216.0 TiB");
}

TEST(HumanUnitsTest, DurationsForPeople) {
    EXPECT_EQ(human_duration(Duration(0)), "0.00 s");
    EXPECT_EQ(human_duration(Duration(430)), "0.43 s");
    EXPECT_EQ(human_duration(Duration(59'994)), "59.99 s");
    EXPECT_EQ(human_duration(Duration(59'999)), "1 min 00 s");
    EXPECT_EQ(human_duration(Duration(125'000)), "2 min 05 s");
    EXPECT_EQ(human_duration(Duration(3'720'000)), "1 h 02 min");
}

TEST(AgeTest, DaysAndWeeksAreTakenBesideDurations) {
    EXPECT_EQ(parse_age("30d"), std::chrono::days(30));
    EXPECT_EQ(parse_age("4w"), std::chrono::days(28));
    EXPECT_EQ(parse_age("12h"), std::chrono::hours(12));
    EXPECT_EQ(parse_age("90"), std::chrono::seconds(90));
    EXPECT_EQ(parse_age("3660d"), std::chrono::days(3660));
    for (const char* wrong : {"1x", "d", "-1d", "1.5d", "", "1 d", "last week"})
        EXPECT_EQ(parse_age(wrong).error().text(), fmt::format("\"{}\" is not an age, such as 12h, 7d or 4w", wrong));
    EXPECT_EQ(parse_age("3661d").error().text(), "the age \"3661d\" is too large");
    EXPECT_EQ(parse_age("99999999999999999999d").error().code, ErrorCode::bad_input);
}

}  // namespace
}  // namespace vmette
