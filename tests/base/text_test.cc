#include "base/text.h"

#include <array>
#include <random>

#include <gtest/gtest.h>

namespace vmette {
namespace {

std::optional<std::string_view> nearest(std::string_view word) {
    constexpr std::array<std::string_view, 5> kNames{"memory", "vcpus", "timeout", "workdir", "net"};
    return nearest_name(word, kNames);
}

TEST(NearestNameTest, SlipsOfTheFingerAreRecognised) {
    EXPECT_EQ(nearest("memroy"), "memory");
    EXPECT_EQ(nearest("memor"), "memory");
    EXPECT_EQ(nearest("memmory"), "memory");
    EXPECT_EQ(nearest("vcpu"), "vcpus");
    EXPECT_EQ(nearest("time-out"), "timeout");
    EXPECT_EQ(nearest("ner"), "net");
}

TEST(NearestNameTest, OtherWordsAreNot) {
    EXPECT_EQ(nearest("banana"), std::nullopt);
    EXPECT_EQ(nearest("cat"), std::nullopt);
    EXPECT_EQ(nearest(""), std::nullopt);
    EXPECT_EQ(nearest_name("x", {}), std::nullopt);
}

TEST(NearestNameTest, TheNearestOfSeveralWins) {
    constexpr std::array<std::string_view, 3> kNames{"stdin", "stdout", "stderr"};
    EXPECT_EQ(nearest_name("stdot", kNames), "stdout");
    EXPECT_EQ(nearest_name("stdin", kNames), "stdin");
}

TEST(NearestNameTest, HugeWordsCostNothing) { EXPECT_EQ(nearest(std::string(10'000'000, 'm')), std::nullopt); }

TEST(HarmlessTest, TextStaysAndControlsAreEscaped) {
    EXPECT_EQ(harmless("plain\ttext\nαβ 🎉"), "plain\ttext\nαβ 🎉");
    EXPECT_EQ(harmless("\x1b[2J\x07\r\b\x7f"), "\\x1b[2J\\x07\\x0d\\x08\\x7f");
    EXPECT_EQ(harmless(std::string_view("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(harmless("\xC2\x9B"
                       "31m"),
              "\\xc2\\x9b31m")
        << "C1: CSI in one character";
    EXPECT_EQ(harmless("\xC2\xA0"), "\xC2\xA0") << "a no-break space is not a control";
    EXPECT_EQ(harmless("caf\xE9"), "caf\\xe9");
    EXPECT_EQ(harmless("a\u202Eb\u2066c\u200Fd\u061Ce"), "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6c\\xe2\\x80\\x8fd\\xd8\\x9ce")
        << "what turns the direction of the text";
    EXPECT_EQ(harmless("\u200D\u2026\u2070"), "\u200D\u2026\u2070");
}

TEST(HarmlessTest, JsonKeepsItsMeaning) {
    EXPECT_EQ(harmless_json("{\"a\": \"\xC2\x9Bm\x7F\"}"), "{\"a\": \"\\u009bm\\u007f\"}");
    EXPECT_EQ(harmless_json("\"\u202E\u2066\u200F\u061C\""), "\"\\u202e\\u2066\\u200f\\u061c\"");
    EXPECT_EQ(harmless_json("\"\u00E9\u00A0\u2026\u0627\U0001F389\""), "\"\u00E9\u00A0\u2026\u0627\U0001F389\"");
    EXPECT_EQ(harmless_json(""), "");
}

TEST(HarmlessTest, OneLineEscapesNewlinesToo) {
    EXPECT_EQ(harmless_line("a\nb\tc"), "a\\x0ab\\x09c");
    EXPECT_EQ(harmless_line("short"), "short");
}

TEST(HarmlessTest, LongLinesAreCutBetweenCharacters) {
    EXPECT_EQ(harmless_line("abcdef", 6), "abcdef");
    EXPECT_EQ(harmless_line("abcdefg", 6), "abcdef…");
    EXPECT_EQ(harmless_line("abc🎉", 5), "abc…");
    EXPECT_EQ(harmless_line("🎉🎉", 7), "🎉…");
    EXPECT_EQ(harmless_line(std::string(8, '\x80'), 4), "\\x80…") << "what is no character is cut anywhere";
    EXPECT_EQ(harmless_line("🎉", 0), "…");
}

TEST(HarmlessTest, NoTerminalControlSurvivesWhateverComesIn) {
    std::mt19937 random(7);
    for (int i = 0; i < 2000; ++i) {
        std::string text(random() % 40, ' ');
        for (char& c : text) c = static_cast<char>(random());
        std::string shown = harmless_line(text, 20);
        EXPECT_TRUE(valid_utf8(shown));
        for (unsigned char c : shown) EXPECT_TRUE(c >= 0x20 && c != 0x7F);
        EXPECT_EQ(harmless_line(shown), shown);
    }
}

TEST(Utf8Test, WellFormedAndNot) {
    for (const char* text : {"", "a", "é", "€", "𝄞", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                             "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
        EXPECT_TRUE(valid_utf8(text)) << text;
    for (const char* text : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x80\x80", "\xE0\x9F\xBF",
                             "\xE2\x82", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF",
                             "\xF0\x9F\x8E", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xFF", "ok\xFFok"})
        EXPECT_FALSE(valid_utf8(text)) << text;
}

TEST(Utf8Test, BrokenBytesAreReplacedAndTheRestKept) {
    EXPECT_EQ(to_valid_utf8("caf\xE9!"), "caf\uFFFD!");
    EXPECT_EQ(to_valid_utf8("\xF0\x9F\x8E"), "\uFFFD\uFFFD\uFFFD");
    EXPECT_EQ(to_valid_utf8("é\xC3"), "é\uFFFD");
    EXPECT_EQ(to_valid_utf8(std::string_view("\0é", 3)), std::string_view("\0é", 3));
}

TEST(Utf8Test, WhateverComesInWellFormedComesOut) {
    std::mt19937 random(7);
    for (int i = 0; i < 2000; ++i) {
        std::string text(random() % 40, ' ');
        for (char& c : text) c = static_cast<char>(random() % 3 == 0 ? random() : random() % 128);
        std::string fixed = to_valid_utf8(text);
        EXPECT_TRUE(valid_utf8(fixed));
        EXPECT_EQ(to_valid_utf8(fixed), fixed);
        if (valid_utf8(text)) {
            EXPECT_EQ(fixed, text);
        }
    }
}

TEST(ShellQuoteTest, OnlyWhatNeedsItIsQuoted) {
    EXPECT_EQ(shell_quote("plain-word_1.2/x:y=z@w%+,"), "plain-word_1.2/x:y=z@w%+,");
    EXPECT_EQ(shell_quote(""), "''");
    EXPECT_EQ(shell_quote("two words"), "'two words'");
    EXPECT_EQ(shell_quote("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quote("$HOME;`id`\n*~"), "'$HOME;`id`\n*~'");
    EXPECT_EQ(shell_quote("é"), "'é'");
}

TEST(GlobTest, ShellPatternsMatchWholeTexts) {
    EXPECT_TRUE(glob_match("web-*", "web-1"));
    EXPECT_TRUE(glob_match("w?b-[0-9]", "wib-7"));
    EXPECT_TRUE(glob_match("*", ""));
    EXPECT_TRUE(glob_match("*", "a/b"));
    EXPECT_FALSE(glob_match("web", "web-1"));
    EXPECT_FALSE(glob_match("WEB*", "web-1"));
    EXPECT_FALSE(glob_match("", "a"));
}

}  // namespace
}  // namespace vmette
