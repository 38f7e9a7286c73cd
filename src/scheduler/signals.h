#pragma once
/// The signals that end a run, as something to read: a handler would belong to the whole process, which may not be
/// ours.

#include <optional>

#include <signal.h>

#include "base/error.h"
#include "base/fd.h"
#include "scheduler/stop.h"

namespace vmette::scheduler {

/// While it lives, SIGINT, SIGTERM, SIGHUP and SIGWINCH are blocked in this thread and queue in a signalfd; SIGPIPE is
/// blocked, so that a reader who left is an error of write(2). Destruction restores the mask and drops what nobody
/// took.
class SignalQueue final : public StopSource {
public:
    static Result<SignalQueue> open();
    SignalQueue(SignalQueue&& other) noexcept;
    SignalQueue& operator=(SignalQueue&&) = delete;
    ~SignalQueue() override;

    int fd() const override { return fd_.get(); }
    /// The next signal that waits; never blocks.
    std::optional<int> take() override;
    /// True when a signal that ends the run waits. Window changes are taken and dropped.
    bool end_requested() override;
    /// The ending signal that end_requested() saw and take() will return first; 0: none.
    int requested() const override { return pending_; }

private:
    SignalQueue() = default;
    Fd fd_;
    sigset_t before_{};
    bool armed_ = false;
    int pending_ = 0;
};

}  // namespace vmette::scheduler
