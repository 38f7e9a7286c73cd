#include "cli/times.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace vmette::cli {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::weeks;

/// A whole number and one of s, m, h, d, w; nothing longer ago than a century.
std::optional<Duration> parse_ago(std::string_view text) {
    if (text.size() < 2) return std::nullopt;
    std::int64_t count = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size() - 1, count);
    if (error != std::errc() || end != text.data() + text.size() - 1 || count < 0) return std::nullopt;
    constexpr std::int64_t kMostSeconds = 100LL * 366 * 86400;
    std::int64_t unit = 0;
    switch (text.back()) {
        case 's':
            unit = 1;
            break;
        case 'm':
            unit = 60;
            break;
        case 'h':
            unit = 3600;
            break;
        case 'd':
            unit = 86400;
            break;
        case 'w':
            unit = 7 * 86400;
            break;
        default:
            return std::nullopt;
    }
    if (count > kMostSeconds / unit) return std::nullopt;
    return seconds(count * unit);
}

}  // namespace

Result<WallTime> parse_when(std::string_view text, WallTime now) {
    if (auto ago = parse_ago(text)) return now - *ago;
    if (auto instant = parse_rfc3339(text)) return *instant;
    return fail(ErrorCode::bad_input,
                "'{}' is no time: write how long ago (30m, 12h, 7d, 2w), a date (2025-01-31) or a time "
                "(2025-01-31T09:00:00Z)",
                harmless_line(text));
}

std::string age(WallTime then, WallTime now) {
    auto passed = std::max(Duration(0), std::chrono::duration_cast<Duration>(now - then));
    if (passed < minutes(2)) return fmt::format("{}s", passed / seconds(1));
    if (passed < hours(2)) return fmt::format("{}m", passed / minutes(1));
    if (passed < days(2)) return fmt::format("{}h", passed / hours(1));
    if (passed < days(60)) return fmt::format("{}d", passed / days(1));
    if (passed < days(730)) return fmt::format("{}w", passed / weeks(1));
    return fmt::format("{}y", passed / days(365));
}

std::string short_duration(Duration duration) {
    auto ms = std::max<std::int64_t>(duration.count(), 0);
    if (ms < 1000) return fmt::format("{}ms", ms);
    if (ms < 60'000) return fmt::format("{}.{}s", ms / 1000, ms % 1000 / 100);
    if (ms < 3'600'000) return fmt::format("{}m{:02}s", ms / 60'000, ms / 1000 % 60);
    return fmt::format("{}h{:02}m", ms / 3'600'000, ms / 60'000 % 60);
}

}  // namespace vmette::cli
