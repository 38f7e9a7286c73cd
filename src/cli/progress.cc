#include "cli/progress.h"

#include <algorithm>
#include "base/text.h"

#include "cli/table.h"
#include "cli/times.h"

namespace vmette::cli {

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
        constexpr double kLongest = 359'999;  // 99 h 59 min
        text += fmt::format(
            ", {} left", short_duration(std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds, kLongest)))));
    }
    return text;
}

/// What several items add up to; the one line stands for all of them.
rootfs::Progress ProgressLine::sum(const rootfs::Progress& progress) {
    if (progress.item.empty()) return progress;
    items_[std::string(progress.item)] = {progress.done, progress.total};
    rootfs::Progress all = progress;
    all.done = all.total = 0;
    for (const auto& [item, bytes] : items_) {
        all.done += bytes.first;
        all.total += bytes.second;
    }
    return all;
}

void ProgressLine::update(const rootfs::Progress& one) {
    if (!wanted()) return;
    auto now = clock_.monotonic();
    bool new_step = step_ != one.step;
    if (new_step) {
        step_ = one.step;
        step_start_ = now;
        items_.clear();
    }
    const rootfs::Progress progress = sum(one);
    if (!new_step && last_ && now - *last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    show(progress_text(progress, std::chrono::duration_cast<Duration>(now - step_start_)));
}

void ProgressLine::show(std::string_view text) {
    if (!wanted()) return;
    std::size_t width = console_.err_width();
    console_.write_err("\r\x1b[K" + shorten(text, width > 1 ? width - 1 : 0));
    shown_ = true;
}

void ProgressLine::clear() {
    if (!shown_) return;
    console_.write_err("\r\x1b[K");
    shown_ = false;
}

}  // namespace vmette::cli
