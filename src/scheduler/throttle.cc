#include "scheduler/throttle.h"

#include <algorithm>
#include <charconv>

#include "base/fd.h"

namespace vmette::scheduler {
namespace {

/// The slow start begins with so many machines a processor.
constexpr std::uint32_t kFirstPerProcessor = 2;

double read_pressure(const char* path) {
    auto text = read_file(path, 4096);
    return text ? some_avg10(*text) : -1;
}

}  // namespace

Throttle::Throttle(std::uint32_t limit, std::uint32_t processors)
    : limit_(std::max(limit, 1U)), window_(std::clamp(processors * kFirstPerProcessor, 1U, limit_)) {}

void Throttle::came_up() {
    if (!short_) window_ = std::min(window_ + 1, limit_);
}

void Throttle::sample(const Pressure& pressure, std::int64_t now) {
    short_ = pressure.memory >= kMemoryShort;
    if (!short_ || now - halved_at_ < kSettleTime) return;
    window_ = std::max(window_ / 2, 1U);
    halved_at_ = now;
}

double some_avg10(std::string_view text) {
    constexpr std::string_view kStart = "some avg10=";
    if (!text.starts_with(kStart)) return -1;
    text.remove_prefix(kStart.size());
    double value = -1;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && value >= 0 && value <= 100 ? value : -1;
}

Pressure host_pressure() {
    return {read_pressure("/proc/pressure/cpu"), read_pressure("/proc/pressure/memory"),
            read_pressure("/proc/pressure/io")};
}

}  // namespace vmette::scheduler
