#include "cli/progress.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/text.h"
#include "cli/table.h"
#include "cli/times.h"

namespace vmette::cli {

namespace {

/// In whole seconds: it is a guess.
std::string time_left(double seconds) {
    constexpr double kLongest = 359'999;  // 99 h 59 min
    auto whole = static_cast<std::int64_t>(std::ceil(std::clamp(seconds, 1.0, kLongest)));
    return whole < 60 ? fmt::format("{}s", whole) : short_duration(std::chrono::seconds(whole));
}

}  // namespace

std::string progress_text(const rootfs::Progress& progress, Duration since_start) {
    std::string text = fmt::format("{} {}", harmless_line(progress.step), human_size(progress.done));
    if (progress.total > 0) {
        auto percent = static_cast<unsigned>(100.0 * static_cast<double>(std::min(progress.done, progress.total)) /
                                             static_cast<double>(progress.total));
        text += fmt::format(" of {} ({} %)", human_size(progress.total), percent);
    }
    constexpr Duration kTooSoonForRate{500};
    if (since_start < kTooSoonForRate || progress.done == 0) return text;
    double rate = static_cast<double>(progress.done) * 1000.0 / static_cast<double>(since_start.count());
    text += fmt::format(", {}/s", human_size(static_cast<std::uint64_t>(rate)));
    if (progress.total > progress.done) {
        double seconds = static_cast<double>(progress.total - progress.done) / rate;
        text += fmt::format(", {} left", time_left(seconds));
    }
    return text;
}

bool ProgressBoard::all_whole() const { return std::ranges::all_of(items_, &Item::whole); }

void ProgressBoard::hear(const rootfs::Progress& progress, MonotonicTime now) {
    if (step_ != progress.step) {
        if (!items_.empty() && !all_whole()) return;
        step_ = progress.step;
        items_.clear();
        began_ = now;
    }
    single_.done = progress.done;
    single_.total = progress.total;
    if (progress.item.empty()) return;
    auto found = std::ranges::find(items_, progress.item, &Item::name);
    if (found == items_.end()) found = items_.insert(items_.end(), Item{.name = std::string(progress.item)});
    found->done = progress.done;
    found->total = progress.total;
}

std::string ProgressBoard::text_of(const Item& item) {
    constexpr std::size_t kShownDigest = 19;  // "sha256:" and twelve digits
    std::string name = harmless_line(item.name).substr(0, kShownDigest);
    if (item.whole()) return fmt::format("  {}  {}", name, human_size(item.total));
    auto percent = item.total > 0 ? 100 * item.done / item.total : 0;
    return fmt::format("  {}  {} of {} ({} %)", name, human_size(item.done), human_size(item.total), percent);
}

std::vector<std::string> ProgressBoard::lines(MonotonicTime now, std::size_t most) const {
    rootfs::Progress all{.step = step_, .done = single_.done, .total = single_.total, .item = {}};
    std::vector<std::string> out;
    if (!items_.empty()) all.done = all.total = 0;
    for (const auto& item : items_) {
        all.done += item.done;
        all.total += item.total;
    }
    if (items_.size() > 1) {
        std::size_t shown = std::min(items_.size(), most);
        for (bool whole : {false, true})
            for (const auto& item : items_)
                if (item.whole() == whole && out.size() < shown) out.push_back(text_of(item));
        if (shown < items_.size()) out.push_back(fmt::format("  and {} more", items_.size() - shown));
    }
    out.push_back(progress_text(all, std::chrono::duration_cast<Duration>(now - began_)));
    return out;
}

std::vector<std::string> ProgressBoard::take_whole() {
    std::vector<std::string> out;
    for (auto& item : items_) {
        if (!item.whole() || std::exchange(item.told, true)) continue;
        out.push_back(
            fmt::format("{} {} ({})", harmless_line(step_), harmless_line(item.name), human_size(item.total)));
    }
    return out;
}

void ProgressLine::update(const rootfs::Progress& progress) {
    if (console_.quiet()) return;
    auto now = clock_.monotonic();
    board_.hear(progress, now);
    if (!moves()) {
        if (plain_ == Plain::lines)
            for (const auto& line : board_.take_whole()) console_.note(line);
        return;
    }
    if (last_ && now - *last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    constexpr std::size_t kMostItems = 8;
    show(board_.lines(now, kMostItems));
}

void ProgressLine::show(const std::vector<std::string>& lines) {
    if (!moves()) return;
    std::size_t width = console_.err_width();
    clear();
    std::string text;
    for (const auto& line : lines) {
        if (!text.empty()) text += "\n";
        text += shorten(line, width > 1 ? width - 1 : 0);
    }
    console_.write_err(text);
    shown_ = lines.size();
}

void ProgressLine::note(std::string_view text) {
    if (console_.quiet()) return;
    clear();
    console_.note(text);
}

void ProgressLine::clear() {
    if (shown_ == 0) return;
    // Up to the first line, and everything from there away.
    if (shown_ > 1) console_.write_err(fmt::format("\x1b[{}A", shown_ - 1));
    console_.write_err("\r\x1b[J");
    shown_ = 0;
}

}  // namespace vmette::cli
