#include "store/condition_values.h"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/text.h"
#include "base/units.h"

namespace vmette::store {
namespace {

using Problem = std::unexpected<ConditionProblem>;

/// Beyond this a double no longer holds every whole number; no field gets there.
constexpr double kLargest = 9e15;

struct Unit {
    std::string_view suffix;
    double factor;
};
constexpr std::array kTimeUnits{Unit{"ms", 1},     Unit{"s", 1e3},     Unit{"m", 60e3},
                                Unit{"h", 3600e3}, Unit{"d", 86400e3}, Unit{"w", 7 * 86400e3}};
constexpr std::array kSizeUnits{Unit{"B", 1}, Unit{"K", static_cast<double>(kKiB)},
                                Unit{"M", static_cast<double>(kMiB)}, Unit{"G", static_cast<double>(kGiB)},
                                Unit{"T", static_cast<double>(kTiB)}};

/// "1.5GiB" → 1.5, "GiB".
struct Quantity {
    double number = 0;
    std::string_view suffix;
};

std::optional<Quantity> split(std::string_view text) {
    Quantity quantity;
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), quantity.number, std::chars_format::fixed);
    if (error != std::errc() || !std::isfinite(quantity.number)) return std::nullopt;
    quantity.suffix = text.substr(static_cast<std::size_t>(end - text.data()));
    return quantity;
}

std::optional<double> factor_of(std::string_view suffix, std::span<const Unit> units) {
    for (const Unit& unit : units)
        if (suffix == unit.suffix) return unit.factor;
    return std::nullopt;
}

std::optional<double> size_factor(std::string_view suffix) {
    if (suffix.size() > 1 && suffix.ends_with("iB"))
        suffix.remove_suffix(2);
    else if (suffix.size() > 1 && suffix.ends_with('B'))
        suffix.remove_suffix(1);
    return factor_of(suffix, kSizeUnits);
}

Problem wrong(const Token& token, std::string message) {
    return Problem({std::move(message), token.offset, token.length});
}

std::expected<SqlValue, ConditionProblem> number_value(const Token& token, double value) {
    if (std::abs(value) > kLargest) return wrong(token, "the number is too large");
    double whole = std::round(value);
    // Columns of whole numbers are compared without a detour over floating point.
    if (whole == value) return SqlValue(static_cast<std::int64_t>(whole));
    return SqlValue(value);
}

std::string_view expected_of(FieldKind kind) {
    switch (kind) {
        case FieldKind::text:
            return "a text: write the value in quotes";
        case FieldKind::number:
            return "a number";
        case FieldKind::boolean:
            return "true or false";
        case FieldKind::milliseconds:
            return "a duration: 500ms, 30s, 10m, 2h, 7d, or a number of milliseconds";
        case FieldKind::bytes:
            return "a size: 64K, 512M, 1.5G, or a number of bytes";
        case FieldKind::mebibytes:
            return "a size: 512M, 1.5G, or a number of MiB";
        case FieldKind::time:
            return "a time: \"2025-01-31\", \"2025-01-31T09:00:00Z\", now, or now - 7d";
    }
    return "";
}

std::optional<double> unit_of(FieldKind kind, std::string_view suffix) {
    if (suffix.empty() && kind != FieldKind::time) return 1;
    switch (kind) {
        case FieldKind::milliseconds:
            return factor_of(suffix, kTimeUnits);
        case FieldKind::bytes:
            return size_factor(suffix);
        case FieldKind::mebibytes:
            if (auto factor = size_factor(suffix)) return *factor / static_cast<double>(kMiB);
            return std::nullopt;
        default:
            return std::nullopt;
    }
}

}  // namespace

std::expected<SqlValue, ConditionProblem> condition_value(const Token& token, FieldKind kind, std::string_view field) {
    Problem mismatch = wrong(token, fmt::format("{} is {}", field, expected_of(kind)));
    if (token.kind == Token::Kind::string) {
        if (kind == FieldKind::text) {
            if (!valid_utf8(token.text)) return wrong(token, "the text is not valid UTF-8");
            return SqlValue(token.text);
        }
        if (kind != FieldKind::time) return mismatch;
        auto time = parse_rfc3339(token.text);
        if (!time) return mismatch;
        return SqlValue(std::int64_t{time->time_since_epoch().count()});
    }
    if (token.kind != Token::Kind::number || kind == FieldKind::text || kind == FieldKind::boolean) return mismatch;
    auto quantity = split(token.text);
    auto unit = quantity ? unit_of(kind, quantity->suffix) : std::nullopt;
    if (!unit) return mismatch;
    return number_value(token, quantity->number * *unit);
}

std::expected<std::int64_t, ConditionProblem> condition_duration(const Token& token) {
    auto quantity = token.kind == Token::Kind::number ? split(token.text) : std::nullopt;
    auto unit = quantity ? factor_of(quantity->suffix, kTimeUnits) : std::nullopt;
    if (!unit) return wrong(token, "a duration is expected: 30s, 10m, 12h, 7d, 2w");
    double value = quantity->number * *unit;
    if (value > kLargest) return wrong(token, "the duration is too long");
    return static_cast<std::int64_t>(std::llround(value));
}

}  // namespace vmette::store
