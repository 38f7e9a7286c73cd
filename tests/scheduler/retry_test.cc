#include "scheduler/retry.h"

#include <gtest/gtest.h>

namespace vmette::scheduler {
namespace {

using std::chrono::milliseconds;

const manifest::Retry kRule{2, {{"vm-error", {}}, {"", 75}}, std::chrono::seconds(2)};
const AttemptEnd kVmError{"vm-error", std::nullopt, false};

TEST(RetryTest, WhatTheRuleNamesIsTriedAgainAsOftenAsItSays) {
    EXPECT_TRUE(retry_after(kRule, 1, kVmError, 0));
    EXPECT_TRUE(retry_after(kRule, 2, kVmError, 0));
    EXPECT_FALSE(retry_after(kRule, 3, kVmError, 0));
}

TEST(RetryTest, AnExitCodeIsNamedByItsNumber) {
    EXPECT_TRUE(retry_after(kRule, 1, {"exited", 75, false}, 0));
    EXPECT_FALSE(retry_after(kRule, 1, {"exited", 1, false}, 0));
    EXPECT_FALSE(retry_after(kRule, 1, {"timeout", 75, false}, 0));
}

TEST(RetryTest, NothingIsTriedAgainWithoutARule) { EXPECT_FALSE(retry_after({}, 1, kVmError, 0)); }

TEST(RetryTest, AnAttemptLostBeforeItsCommandBeganIsRepeatedUnasked) {
    EXPECT_TRUE(retry_after({}, 1, {"lost", std::nullopt, true}, 0));
    EXPECT_FALSE(retry_after({}, 1, {"lost", std::nullopt, false}, 0));
    EXPECT_TRUE(retry_after({1, {{"lost", {}}}, milliseconds(1)}, 1, {"lost", std::nullopt, false}, 0));
}

TEST(RetryTest, WaitsDoubleUpToFiveMinutesAndAreSpreadOverTheirUpperHalf) {
    manifest::Retry often{100, {{"vm-error", {}}}, std::chrono::seconds(2)};
    EXPECT_EQ(retry_after(often, 1, kVmError, 0), milliseconds(1000));
    EXPECT_EQ(retry_after(often, 1, kVmError, 0.5), milliseconds(1500));
    EXPECT_EQ(retry_after(often, 2, kVmError, 0), milliseconds(2000));
    EXPECT_EQ(retry_after(often, 3, kVmError, 0), milliseconds(4000));
    EXPECT_EQ(retry_after(often, 100, kVmError, 0), milliseconds(150'000));
    often.backoff = std::chrono::hours(24);
    EXPECT_EQ(retry_after(often, 1, kVmError, 0), milliseconds(150'000));
}

TEST(RetryTest, RulesAreWrittenAndReadBack) {
    auto back = retry_from_json(to_json(kRule));
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(*back, kRule);
    EXPECT_EQ(*retry_from_json(""), manifest::Retry{});
}

TEST(RetryTest, DamagedRulesAreErrors) {
    for (const char* text : {"{", "[]", "{}", R"({"max":-1})", R"({"max":1,"on":[{}],"backoff_ms":1})"}) {
        auto rule = retry_from_json(text);
        ASSERT_FALSE(rule) << text;
        EXPECT_TRUE(rule.error().message.starts_with("the stored rule of retries is damaged: ")) << text;
    }
}

}  // namespace
}  // namespace vmette::scheduler
