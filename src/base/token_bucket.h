#pragma once
/// How often something may happen: so many times at once, and so many a second in the long run.

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/units.h"

namespace vmette {

/// Starts full.
class TokenBucket {
public:
    /// Both are 1 at least.
    TokenBucket(double at_once, double per_second, MonotonicTime now)
        : at_once_(at_once), per_second_(per_second), tokens_(at_once), at_(now) {}

    /// True when it may happen now, which counts; `now` never falls.
    bool take(MonotonicTime now) {
        std::chrono::duration<double> since = now - at_;
        at_ = now;
        tokens_ = std::min(at_once_, tokens_ + since.count() * per_second_);
        if (tokens_ < 1) return false;
        tokens_ -= 1;
        return true;
    }
    /// From a refused take() to the time when it may happen again.
    Duration wait() const {
        std::chrono::duration<double> left((1 - tokens_) / per_second_);
        return std::chrono::ceil<Duration>(left);
    }

private:
    double at_once_, per_second_;
    double tokens_;
    MonotonicTime at_;
};

}  // namespace vmette
