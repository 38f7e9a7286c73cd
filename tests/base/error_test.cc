#include "base/error.h"

#include <cerrno>
#include <memory>
#include <set>

#include <gtest/gtest.h>

namespace vmette {
namespace {

TEST(ErrorTest, CodesHaveNamesOfTheirOwn) {
    std::set<std::string_view> names;
    for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code)
        EXPECT_TRUE(names.insert(to_string(static_cast<ErrorCode>(code))).second) << code;
    EXPECT_EQ(to_string(ErrorCode::bad_input), "bad-input");
    EXPECT_EQ(to_string(ErrorCode::no_space), "no-space");
}

TEST(ErrorTest, TextGoesFromTheOutcomeToItsCause) {
    Error root{ErrorCode::no_space, "write /x: No space left on device", nullptr};
    Error middle = root.because("cannot keep the log");
    Error outer = middle.because("the run failed");
    EXPECT_EQ(outer.text(), "the run failed: cannot keep the log: write /x: No space left on device");
    EXPECT_EQ(outer.code, ErrorCode::no_space);
    EXPECT_EQ(outer.message, "the run failed");
}

TEST(ErrorTest, ErrnoTellsFullAndMissingFromTheRest) {
    EXPECT_EQ(errno_error(ENOSPC, "write /x").code, ErrorCode::no_space);
    EXPECT_EQ(errno_error(EDQUOT, "write /x").code, ErrorCode::no_space);
    EXPECT_EQ(errno_error(ENOENT, "open /x").code, ErrorCode::not_found);
    EXPECT_EQ(errno_error(EACCES, "open /x").code, ErrorCode::io);
    EXPECT_EQ(errno_error(ENOENT, "open /x").text(), "open /x: No such file or directory");
}

Result<std::unique_ptr<int>> half(int number) {
    if (number % 2 != 0) return fail(ErrorCode::bad_input, "{} is odd", number);
    return std::make_unique<int>(number / 2);
}

Result<int> quarter(int number) {
    VMETTE_TRY(auto first, half(number));
    VMETTE_TRY(std::unique_ptr<int> second, half(*first));
    return *second;
}

Result<> require_even(int number) {
    VMETTE_CHECK_OK(half(number));
    return {};
}

TEST(ErrorTest, TryBindsValuesAndPassesErrorsOn) {
    EXPECT_EQ(quarter(12), 3);
    EXPECT_EQ(quarter(3).error().message, "3 is odd");
    EXPECT_EQ(quarter(6).error().message, "3 is odd");
    EXPECT_TRUE(require_even(2));
    EXPECT_EQ(require_even(1).error().message, "1 is odd");
}

}  // namespace
}  // namespace vmette
