#include "base/log.h"

#include <gmock/gmock.h>

namespace vmette {
namespace {

using ::testing::MatchesRegex;

class LogTest : public ::testing::Test {
protected:
    ~LogTest() override { set_log_level(LogLevel::warn); }
    /// What a line at each level puts on stderr.
    static std::string shown(LogLevel level) {
        set_log_level(level);
        ::testing::internal::CaptureStderr();
        log(LogLevel::warn, "w{}", 1);
        log(LogLevel::info, "i{}", 2);
        log(LogLevel::debug, "d{}", 3);
        return ::testing::internal::GetCapturedStderr();
    }
};

TEST_F(LogTest, LevelSaysWhatIsShown) {
    EXPECT_EQ(shown(LogLevel::off), "");
    EXPECT_THAT(shown(LogLevel::warn), MatchesRegex("vmette: [0-9:.]+ warning: w1\n"));
    EXPECT_THAT(shown(LogLevel::info), MatchesRegex("vmette: [0-9:.]+ warning: w1\nvmette: [0-9:.]+ info: i2\n"));
    EXPECT_THAT(shown(LogLevel::debug),
                MatchesRegex("vmette: [0-9:.]+ warning: w1\nvmette: [0-9:.]+ info: i2\nvmette: [0-9:.]+ debug: d3\n"));
}

TEST_F(LogTest, BracesInALineAreText) {
    set_log_level(LogLevel::warn);
    ::testing::internal::CaptureStderr();
    log_line(LogLevel::warn, "{} %s {0}");
    EXPECT_THAT(::testing::internal::GetCapturedStderr(), ::testing::EndsWith(" warning: {} %s {0}\n"));
}

TEST_F(LogTest, UnknownNamesAreNoLevel) {
    EXPECT_EQ(parse_log_level("off"), LogLevel::off);
    EXPECT_EQ(parse_log_level("warn"), LogLevel::warn);
    EXPECT_EQ(parse_log_level("info"), LogLevel::info);
    EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
    EXPECT_EQ(parse_log_level("DEBUG"), std::nullopt);
    EXPECT_EQ(parse_log_level(""), std::nullopt);
    set_log_level(LogLevel::off);
    EXPECT_FALSE(log_enabled(LogLevel::off));
}

}  // namespace
}  // namespace vmette
