#pragma once
/// Points in time as users write and read them.

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/units.h"

namespace vmette::cli {

/// "7d", "12h", "90m", "2w" ago; a date; or an RFC 3339 time. `bad_input` otherwise.
Result<WallTime> parse_when(std::string_view text, WallTime now);
/// For tables: "4s", "12m", "3h", "5d", "8w", "2y"; a time to come is "0s".
std::string age(WallTime then, WallTime now);
/// For tables: "43ms", "1.2s", "2m05s", "1h02m".
std::string short_duration(Duration duration);

}  // namespace vmette::cli
