#include "cli/table.h"

#include <gtest/gtest.h>

namespace vmette::cli {
namespace {

Table sample() {
    Table table({{"ID"}, {.heading = "NAME", .shrinks = true}, {.heading = "EXIT", .right = true}});
    table.add({"01", "a-very-long-name-indeed", "0"});
    table.add({"02", "é", "127"});
    return table;
}

TEST(TableTest, AlignsByWhatIsSeen) {
    EXPECT_EQ(sample().render(0),
              "ID  NAME                     EXIT\n"
              "01  a-very-long-name-indeed     0\n"
              "02  é                         127\n");
}

TEST(TableTest, ShrinkingColumnsGiveWay) {
    EXPECT_EQ(sample().render(20),
              "ID  NAME        EXIT\n"
              "01  a-very-lo…     0\n"
              "02  é            127\n");
}

TEST(TableTest, StopsAtTheNarrowestWhenTheScreenIsNarrower) {
    std::string text = sample().render(3);
    EXPECT_EQ(text.substr(0, text.find('\n')), "ID  NAME      EXIT");
}

TEST(TableTest, LastColumnLeavesNoSpacesBehind) {
    Table table({{"A"}, {"LONG HEADING"}});
    table.add({"x", "y"});
    EXPECT_EQ(table.render(0), "A  LONG HEADING\nx  y\n");
}

TEST(TableTest, PaintAddsNoWidth) {
    Table table({{"A"}, {"B"}});
    table.add({"x", "y"});
    EXPECT_EQ(table.render(
                  0, [](int row, std::size_t, const std::string& text) { return row < 0 ? "<" + text + ">" : text; }),
              "<A>  <B>\nx  y\n");
}

TEST(ShortenTest, CutsBetweenCodePoints) {
    EXPECT_EQ(shorten("äöü", 3), "äöü");
    EXPECT_EQ(shorten("äöü", 2), "ä…");
    EXPECT_EQ(shorten("abc", 1), "…");
    EXPECT_EQ(shorten("abc", 0), "");
    EXPECT_EQ(display_width("äöü"), 3u);
}

}  // namespace
}  // namespace vmette::cli
