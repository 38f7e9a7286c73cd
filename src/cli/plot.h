#pragma once
/// Points over time, drawn with the characters of a terminal.

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace vmette::cli {

struct PlotPoint {
    WallTime at{};
    double milliseconds = 0;
    bool bad = false;
};

/// Lines of dots (each character holds 2 × 4 of them) with an axis of durations, logarithmic when they are far apart,
/// and one of time; `paint_bad` gets the characters in which a bad point is. At least 40 columns and 4 rows wide and
/// high. No points: empty.
struct PlotSize {
    std::size_t columns = 80, rows = 16;
};
std::string plot_durations(const std::vector<PlotPoint>& points, PlotSize size,
                           const std::function<std::string(const std::string&)>& paint_bad);

}  // namespace vmette::cli
