#include "store/shared_text.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"

namespace vmette::store {
namespace {

std::string again(std::string_view base, std::string_view text) {
    return restore_text(base, compare_texts(base, text)).value_or("nothing");
}

TEST(SharedTextTest, LinesThatDifferAreWhatIsKept) {
    std::string base = "a = 1\nname = \"x\"\nb = 2\nc = 3\n";
    auto shared = compare_texts(base, "a = 1\nname = \"xyz\"\nb = 2\nc = 3\n");
    EXPECT_EQ(shared.head, 6u);
    EXPECT_EQ(shared.middle, "name = \"xyz\"\n");
    EXPECT_EQ(shared.tail, 12u);
}

TEST(SharedTextTest, EqualTextsLeaveNothing) {
    for (std::string_view text : {"", "\n", "no line end", "a\nb\n"}) {
        EXPECT_EQ(compare_texts(text, text).middle, "");
        EXPECT_EQ(again(text, text), text);
    }
}

TEST(SharedTextTest, RepeatedLinesAreCountedOnce) {
    for (std::string_view base : {"x\nx\nx\n", "x\n", "", "x\nx"})
        for (std::string_view text : {"x\nx\nx\nx\nx\n", "x\n", "", "x", "x\nx\nx\n"})
            EXPECT_EQ(again(base, text), text);
}

TEST(SharedTextTest, LettersOfSeveralBytesStayWhole) {
    auto shared = compare_texts("n = \"ä\"\n", "n = \"ö\"\n");
    EXPECT_TRUE(valid_utf8(shared.middle));
    EXPECT_EQ(again("n = \"ä\"\n", "n = \"ö\"\n"), "n = \"ö\"\n");
}

TEST(SharedTextTest, AnyTextComesBack) {
    std::mt19937 random(7);
    for (int i = 0; i < 20'000; ++i) {
        std::string texts[2];
        for (auto& text : texts)
            for (auto left = random() % 12; left > 0; --left) text += "ab\n"[random() % 3];
        ASSERT_EQ(again(texts[0], texts[1]), texts[1]) << texts[0] << "|" << texts[1];
    }
}

TEST(SharedTextTest, NumbersBeyondTheBaseGiveNothing) {
    EXPECT_FALSE(restore_text("abc", {4, 0, ""}));
    EXPECT_FALSE(restore_text("abc", {0, 4, ""}));
    EXPECT_FALSE(restore_text("abc", {2, 2, ""}));
    EXPECT_FALSE(restore_text("abc", {SIZE_MAX, SIZE_MAX, ""}));
    EXPECT_EQ(restore_text("abc", {1, 2, "-"}), "a-bc");
}

}  // namespace
}  // namespace vmette::store
