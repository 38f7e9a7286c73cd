#pragma once
/// How many machines may run at once as the host bears them: a slow start, and less under pressure. A pure function of
/// what it is told.

#include <cstdint>
#include <string_view>

#include "base/units.h"

namespace vmette::scheduler {

/// The share of the last ten seconds in which some task waited for the resource, in percent ("some avg10" of
/// /proc/pressure); negative: not known.
struct Pressure {
    double cpu = -1;
    double memory = -1;
    double io = -1;
};

/// Grows by one with each machine that came up, while nothing is short; halves (not more often than every
/// kSettleTime) when the host is short of memory.
class Throttle {
public:
    /// `limit` is the pool's own bound, `processors` the host's.
    Throttle(std::uint32_t limit, std::uint32_t processors);

    /// How many may run at once now; 1 to the limit.
    std::uint32_t window() const { return window_; }
    /// A machine's command was started: the host bears it.
    void came_up();
    /// `now` in milliseconds, never falling.
    void sample(const Pressure& pressure, std::int64_t now);

    /// Tasks that wait for memory are machines that thrash. Waiting for a processor is what a full pool does.
    static constexpr double kMemoryShort = 20;
    static constexpr std::int64_t kSettleTime = 5000;

private:
    std::uint32_t limit_;
    std::uint32_t window_;
    bool short_ = false;
    std::int64_t halved_at_ = -kSettleTime;
};

/// Of the text of a file of /proc/pressure; negative when it is not one.
double some_avg10(std::string_view text);
/// The host's, as far as its kernel tells.
Pressure host_pressure();

}  // namespace vmette::scheduler
