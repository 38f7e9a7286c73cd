#include "cli/plot.h"

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "cli/times.h"

namespace vmette::cli {
namespace {

constexpr std::size_t kAxisWidth = 8;  ///< of the durations, with the line beside them
constexpr std::size_t kDotsAcross = 2, kDotsDown = 4;
/// Where the largest is so many times the smallest, equal ratios take equal room.
constexpr double kFarApart = 20;

/// The bits of a Braille character by its column and row of dots (Unicode 15, 2800–28FF).
constexpr unsigned kDotBits[kDotsDown][kDotsAcross] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

std::string braille(unsigned bits) {
    if (bits == 0) return " ";
    // U+2800 + bits in UTF-8: E2, A0–A3, 80–BF.
    return {'\xE2', static_cast<char>(0xA0 + (bits >> 6)), static_cast<char>(0x80 + (bits & 0x3F))};
}

class Scale {
public:
    explicit Scale(const std::vector<PlotPoint>& points) {
        auto [least, most] = std::ranges::minmax(points, {}, &PlotPoint::milliseconds);
        low_ = std::max(least.milliseconds, 1.0);
        high_ = std::max(most.milliseconds, low_);
        logarithmic_ = high_ > low_ * kFarApart;
        if (!logarithmic_) low_ = 0;
    }
    /// 0 at the bottom, 1 at the top.
    double place(double value) const {
        if (logarithmic_) return std::log(std::max(value, low_) / low_) / std::log(high_ / low_);
        return value / high_;
    }
    double value(double place) const { return logarithmic_ ? low_ * std::pow(high_ / low_, place) : high_ * place; }

private:
    double low_ = 0, high_ = 1;
    bool logarithmic_ = false;
};

struct Cell {
    unsigned bits = 0;
    bool bad = false;
};

std::size_t position(double place, std::size_t dots) {
    return std::min(static_cast<std::size_t>(std::clamp(place, 0.0, 1.0) * static_cast<double>(dots)), dots - 1);
}

std::string time_axis(WallTime first, WallTime last, std::size_t columns) {
    auto label = [](WallTime time) { return format_rfc3339(time).substr(0, 16) + "Z"; };
    std::string left = label(first), right = label(last);
    std::size_t gap = columns > left.size() + right.size() ? columns - left.size() - right.size() : 1;
    return left + std::string(gap, ' ') + right;
}

}  // namespace

std::string plot_durations(const std::vector<PlotPoint>& points, PlotSize size,
                           const std::function<std::string(const std::string&)>& paint_bad) {
    if (points.empty()) return "";
    constexpr std::size_t kLeastColumns = 40, kMostColumns = 400, kLeastRows = 4, kMostRows = 100;
    std::size_t columns = std::clamp(size.columns, kLeastColumns, kMostColumns) - kAxisWidth;
    std::size_t rows = std::clamp(size.rows, kLeastRows, kMostRows);
    Scale scale(points);
    auto [first, last] = std::ranges::minmax(points, {}, &PlotPoint::at);
    auto span = static_cast<double>(std::max<std::int64_t>((last.at - first.at).count(), 1));
    std::vector<Cell> cells(columns * rows);
    for (const auto& point : points) {
        std::size_t across = position(static_cast<double>((point.at - first.at).count()) / span, columns * kDotsAcross);
        std::size_t down = rows * kDotsDown - 1 - position(scale.place(point.milliseconds), rows * kDotsDown);
        Cell& cell = cells[down / kDotsDown * columns + across / kDotsAcross];
        cell.bits |= kDotBits[down % kDotsDown][across % kDotsAcross];
        cell.bad = cell.bad || point.bad;
    }
    std::string out;
    constexpr std::size_t kLabelledEvery = 4;
    for (std::size_t row = 0; row < rows; ++row) {
        bool labelled = row % kLabelledEvery == 0 || row + 1 == rows;
        double place = 1 - static_cast<double>(row) / static_cast<double>(rows - 1);
        out += fmt::format("{:>6} │", labelled ? short_duration(Duration(std::llround(scale.value(place)))) : "");
        for (std::size_t column = 0; column < columns; ++column) {
            const Cell& cell = cells[row * columns + column];
            out += cell.bad ? paint_bad(braille(cell.bits)) : braille(cell.bits);
        }
        while (out.ends_with(' ')) out.pop_back();
        out += '\n';
    }
    return out + fmt::format("{:>6} └", "") + fmt::format("{:─<{}}\n", "", columns) + std::string(kAxisWidth, ' ') +
           time_axis(first.at, last.at, columns) + "\n";
}

}  // namespace vmette::cli
