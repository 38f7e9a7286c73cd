#include "base/units.h"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace vmette {
namespace {

constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMaxMilliseconds = 10LL * 366 * 24 * 3600 * 1000;

struct Unit {
    std::string_view suffix;
    std::uint64_t factor;
};

constexpr std::array kSizeUnits{Unit{"T", kTiB}, Unit{"G", kGiB}, Unit{"M", kMiB}, Unit{"K", kKiB}};
constexpr std::array kTimeUnits{Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1000}, Unit{"ms", 1}};

struct Quantity {
    std::uint64_t number;
    std::string_view suffix;
};

/// Splits "12GiB" into 12 and "GiB"; nothing when it does not start with a digit or overflows.
std::expected<Quantity, bool> split(std::string_view text) {
    Quantity quantity{};
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), quantity.number);
    if (error != std::errc{}) return std::unexpected(error == std::errc::result_out_of_range);
    quantity.suffix = text.substr(static_cast<std::size_t>(end - text.data()));
    return quantity;
}

Failure too_large(std::string_view kind, std::string_view text) {
    return fail(ErrorCode::bad_input, "the {} \"{}\" is too large", kind, text);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
    auto quantity = split(text);
    if (!quantity && quantity.error()) return too_large("size", text);
    if (quantity) {
        std::string_view suffix = quantity->suffix;
        std::uint64_t factor = suffix.empty() ? kMiB : 0;
        for (const Unit& unit : kSizeUnits) {
            if (!suffix.starts_with(unit.suffix)) continue;
            std::string_view rest = suffix.substr(1);
            if (rest.empty() || rest == "B" || rest == "iB") factor = unit.factor;
        }
        if (factor != 0) {
            if (quantity->number > kMaxSize / factor) return too_large("size", text);
            return quantity->number * factor;
        }
    }
    return fail(ErrorCode::bad_input, "\"{}\" is not a size: a whole number with K, M, G or T, or a bare number of MiB",
                text);
}

Result<std::uint64_t> size_from_mib(std::int64_t mib) {
    if (mib < 0) return fail(ErrorCode::bad_input, "a size cannot be negative");
    if (static_cast<std::uint64_t>(mib) > kMaxSize / kMiB) return too_large("size", std::to_string(mib));
    return static_cast<std::uint64_t>(mib) * kMiB;
}

Result<Duration> parse_duration(std::string_view text) {
    auto quantity = split(text);
    if (!quantity && quantity.error()) return too_large("duration", text);
    if (quantity) {
        std::uint64_t factor = quantity->suffix.empty() ? 1000 : 0;
        for (const Unit& unit : kTimeUnits)
            if (quantity->suffix == unit.suffix) factor = unit.factor;
        if (factor != 0) {
            if (quantity->number > static_cast<std::uint64_t>(kMaxMilliseconds) / factor)
                return too_large("duration", text);
            return Duration(static_cast<std::int64_t>(quantity->number * factor));
        }
    }
    return fail(ErrorCode::bad_input,
                "\"{}\" is not a duration: a whole number with ms, s, m or h, or a bare number of seconds", text);
}

Result<Duration> parse_age(std::string_view text) {
    constexpr std::array kAgeUnits{Unit{"w", 7ULL * 24 * 3'600'000}, Unit{"d", 24ULL * 3'600'000}};
    auto quantity = split(text);
    if (quantity)
        for (const Unit& unit : kAgeUnits)
            if (quantity->suffix == unit.suffix) {
                if (quantity->number > static_cast<std::uint64_t>(kMaxMilliseconds) / unit.factor)
                    return too_large("age", text);
                return Duration(static_cast<std::int64_t>(quantity->number * unit.factor));
            }
    auto duration = parse_duration(text);
    if (duration || (!text.empty() && text.find_first_not_of("0123456789") == text.npos)) return duration;
    return fail(ErrorCode::bad_input, "\"{}\" is not an age, such as 12h, 7d or 4w", text);
}

Result<Duration> duration_from_seconds(std::int64_t seconds) {
    if (seconds < 0) return fail(ErrorCode::bad_input, "a duration cannot be negative");
    if (seconds > kMaxMilliseconds / 1000) return too_large("duration", std::to_string(seconds));
    return Duration(seconds * 1000);
}

std::string format_size(std::uint64_t bytes) {
    if (bytes == 0) return "0";
    for (const Unit& unit : kSizeUnits)
        if (bytes % unit.factor == 0) return fmt::format("{}{}", bytes / unit.factor, unit.suffix);
    return fmt::format("{}K", bytes / kKiB + 1);
}

std::string format_duration(Duration duration) {
    auto count = static_cast<std::uint64_t>(duration.count());
    if (count == 0) return "0s";
    for (const Unit& unit : kTimeUnits)
        if (count % unit.factor == 0) return fmt::format("{}{}", count / unit.factor, unit.suffix);
    return {};
}

std::string human_size(std::uint64_t bytes) {
    for (const Unit& unit : kSizeUnits)
        if (bytes >= unit.factor)
            return fmt::format("{:.1f} {}iB", static_cast<double>(bytes) / static_cast<double>(unit.factor),
                               unit.suffix);
    return fmt::format("{} B", bytes);
}

std::string human_duration(Duration duration) {
    // What two decimals would show as 60.00 is a minute.
    auto seconds = (duration.count() + 5) / 1000;
    if (seconds < 60) return fmt::format("{:.2f} s", static_cast<double>(duration.count()) / 1000);
    if (seconds < 3600) return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
    return fmt::format("{} h {:02} min", seconds / 3600, seconds % 3600 / 60);
}

}  // namespace vmette
