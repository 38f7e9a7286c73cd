#pragma once
/// Who may ask a run to end: the terminal's signals, or a batch that runs it.

#include <atomic>
#include <optional>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::scheduler {

/// Requests that queue until the run's thread takes them. Requests are signal numbers: SIGINT, SIGTERM and SIGHUP ask
/// for an end, SIGWINCH tells of a terminal.
class StopSource {
public:
    virtual ~StopSource() = default;
    /// Readable while something may wait; borrowed.
    virtual int fd() const = 0;
    /// The next request; never blocks.
    virtual std::optional<int> take() = 0;
    /// True when a request to end waits.
    virtual bool end_requested() = 0;
    /// The one that end_requested() saw and take() will return first; 0: none.
    virtual int requested() const = 0;
};

/// Requests from another thread. request() may be called from any; the rest belongs to the run's.
class StopRequests final : public StopSource {
public:
    static Result<StopRequests> open();
    StopRequests(StopRequests&& other) noexcept;

    /// Asks for the end with grace (SIGTERM); asked again, for the end at once.
    void request(int signal);

    int fd() const override { return fd_.get(); }
    std::optional<int> take() override;
    bool end_requested() override { return waiting_.load() > 0; }
    int requested() const override { return waiting_.load() > 0 ? signal_.load() : 0; }

private:
    StopRequests() = default;
    Fd fd_;  ///< an eventfd that counts what waits
    std::atomic<int> signal_ = 0;
    std::atomic<int> waiting_ = 0;
};

}  // namespace vmette::scheduler
