#pragma once
/// Sizes and durations as users write them. Formats: the manifest page of the specification.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vmette {

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::uint64_t kTiB = 1024 * kGiB;

using Duration = std::chrono::milliseconds;

/// "8G", "512M", "64KiB", "1T", or a bare integer of MiB ("0" is 0). Returns bytes. Fractions, signs and values of
/// more than 2^63-1 bytes are `bad_input`; the message holds the text and what was expected.
Result<std::uint64_t> parse_size(std::string_view text);
/// A bare integer of MiB (TOML's integer form). Negative or overflowing values are `bad_input`.
Result<std::uint64_t> size_from_mib(std::int64_t mib);

/// "500ms", "30s", "10m", "2h", or a bare integer of seconds. At most 10 years; otherwise `bad_input`.
Result<Duration> parse_duration(std::string_view text);
Result<Duration> duration_from_seconds(std::int64_t seconds);
/// The same, or in days or weeks ("30d", "4w"): for how long something may be kept, which no manifest says.
Result<Duration> parse_age(std::string_view text);

/// The shortest exact spelling that parse_size reads back: "8G", "1536M", "100K"; sizes that are no multiple of 1 KiB
/// are not expressible in a manifest and are rounded up to one.
std::string format_size(std::uint64_t bytes);
/// The shortest exact spelling that parse_duration reads back: "2h", "90s", "1500ms".
std::string format_duration(Duration duration);

/// For people: "1.5 GiB", "12 B".
std::string human_size(std::uint64_t bytes);
/// For people: "0.43 s", "2 min 05 s", "1 h 02 min".
std::string human_duration(Duration duration);

}  // namespace vmette
