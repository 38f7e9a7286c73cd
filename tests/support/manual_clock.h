#pragma once
/// A clock that moves only when a test says so.

#include "base/clock.h"

namespace vmette::testing {

class ManualClock final : public Clock {
public:
    explicit ManualClock(WallTime start = WallTime(std::chrono::milliseconds(1'700'000'000'000))) : now_(start) {}
    WallTime now() const override { return now_; }
    MonotonicTime monotonic() const override { return monotonic_; }
    void advance(std::chrono::milliseconds by) {
        now_ += by;
        monotonic_ += by;
    }

private:
    WallTime now_;
    MonotonicTime monotonic_{};
};

}  // namespace vmette::testing
