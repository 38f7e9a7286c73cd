#include "cli/toml_text.h"

#include <gtest/gtest.h>

namespace vmette::cli {
namespace {

TEST(TomlTextTest, EscapesWhatEndsAString) {
    EXPECT_EQ(toml_string("a\"b\\c\nd\te\x01\x7f é"), "\"a\\\"b\\\\c\\nd\\te\\u0001\\u007F é\"");
}

TEST(TomlTextTest, LiteralKeepsItsDollar) { EXPECT_EQ(toml_literal("${HOME}$"), "\"$${HOME}$$\""); }

TEST(TomlTextTest, KeyIsQuotedOnlyWhenItMust) {
    EXPECT_EQ(toml_key("A_b-1"), "A_b-1");
    EXPECT_EQ(toml_key("a.b"), "\"a.b\"");
    EXPECT_EQ(toml_key(""), "\"\"");
    EXPECT_EQ(toml_key("x]\ny=1"), "\"x]\\ny=1\"");
}

TEST(TomlTextTest, ArgvKeepsEachWord) {
    EXPECT_EQ(toml_argv({"sh", "-c", "echo \"$X\""}), "[\"sh\", \"-c\", \"echo \\\"$X\\\"\"]");
}

}  // namespace
}  // namespace vmette::cli
