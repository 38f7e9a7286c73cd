#pragma once
/// Time, injected so that tests need not sleep.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vmette {

/// Milliseconds since the Unix epoch, UTC: how every instant is stored.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
/// Never steps; for durations and deadlines.
using MonotonicTime = std::chrono::steady_clock::time_point;

/// Where the time comes from. Thread-safe.
class Clock {
public:
    virtual ~Clock() = default;
    virtual WallTime now() const = 0;
    virtual MonotonicTime monotonic() const = 0;
};

/// The machine's own clocks.
class SystemClock final : public Clock {
public:
    WallTime now() const override;
    MonotonicTime monotonic() const override;
};

/// RFC 3339, UTC, milliseconds: "2025-01-31T09:05:00.123Z".
std::string format_rfc3339(WallTime time);
/// Reads what format_rfc3339 writes, with or without fraction, and with Z or a numeric offset; also a bare date.
Result<WallTime> parse_rfc3339(std::string_view text);

}  // namespace vmette
