#include "cli/plot.h"

#include <algorithm>
#include <limits>

#include <gmock/gmock.h>

#include "cli/csv.h"
#include "cli/table.h"

namespace vmette::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

WallTime minute(int number) { return WallTime(std::chrono::minutes(number)); }
std::string marked(const std::string& text) { return "!" + text; }

TEST(PlotTest, PointsAreWhereTheirTimeAndDurationPutThem) {
    std::vector<PlotPoint> points{{minute(0), 500}, {minute(10), 1000}};
    EXPECT_EQ(plot_durations(points, {.columns = 48, .rows = 4}, marked),
              "  1.0s │" + std::string(39, ' ') +
                  "⠈\n"
                  "       │⡀\n"
                  "       │\n"
                  "   0ms │\n"
                  "       └────────────────────────────────────────\n"
                  "        1970-01-01T00:00Z      1970-01-01T00:10Z\n");
}

TEST(PlotTest, FarApartDurationsAreDrawnByTheirRatios) {
    std::vector<PlotPoint> points{{minute(0), 1}, {minute(1), 100}, {minute(2), 10'000}};
    auto plot = plot_durations(points, {.columns = 48, .rows = 5}, marked);
    EXPECT_THAT(plot, HasSubstr(" 10.0s │"));
    EXPECT_THAT(plot, HasSubstr("\n       │" + std::string(20, ' ') + "⠂\n"));
}

TEST(PlotTest, BadOnesAreMarkedAndExtremesFit) {
    std::vector<PlotPoint> points{{minute(0), 0}, {minute(0), 0, true}};
    EXPECT_THAT(plot_durations(points, {}, marked), HasSubstr("!⡀"));
    points.push_back({minute(50'000'000), 4e12});
    auto plot = plot_durations(points, {.columns = 1, .rows = 1'000'000}, marked);
    EXPECT_EQ(std::ranges::count(plot, '\n'), 102);
    EXPECT_EQ(plot_durations({}, {}, marked), "");
}

TEST(CsvTest, WhatHasAMeaningIsQuoted) {
    std::vector<store::SqlValue> values{
        {}, std::int64_t{-5}, 0.1, std::string(), std::string("a,b"), std::string("\"\n")};
    EXPECT_EQ(csv_line(values), ",-5,0.1,\"\",\"a,b\",\"\"\"\n\"\n");
    EXPECT_EQ(csv_line(std::vector<std::string>{"a", "b c", "d,e"}), "a,b c,\"d,e\"\n");
    EXPECT_EQ(value_json(store::SqlValue(std::numeric_limits<double>::infinity())), "null");
    EXPECT_EQ(value_json(store::SqlValue("\xff\"")), "\"\xEF\xBF\xBD\\\"\"");
    EXPECT_EQ(value_text(store::SqlValue("\x1b")), "\\x1b");
}

}  // namespace
}  // namespace vmette::cli
