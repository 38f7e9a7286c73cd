#pragma once
/// What a person sees of a batch while it runs: a block that moves on a terminal, plain lines elsewhere, and a file of
/// events for programs.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/console.h"
#include "scheduler/batch_run.h"

namespace vmette::cli {

/// One event as a line of JSON, without a newline; the fields are documented in docs/batch.md.
std::string event_json(const std::string& batch_id, const scheduler::BatchEvent& event);

/// The plain line of an event ("ok      lint  1.2s"); empty: it is not worth one.
std::string event_line(const scheduler::BatchEvent& event);

/// What the moving block shows, collected from events.
class BatchBoard {
public:
    void hear(const scheduler::BatchEvent& event);
    /// The block's lines, none wider than `width`, at most `height` of them.
    std::vector<std::string> lines(WallTime now, std::size_t width, std::size_t height) const;

private:
    struct Job {
        std::string name, phase;
        WallTime since{};
        std::uint32_t attempt = 1;
    };
    std::string pace_line(WallTime now) const;

    store::JobCounts counts_;
    std::uint32_t window_ = 0;
    WallTime began_{};
    std::uint32_t reused_ = 0;          ///< by this process
    std::uint32_t settled_before_ = 0;  ///< when this process took the batch
    std::map<std::uint32_t, Job> running_;
    std::deque<std::string> failures_;  ///< the last few
    std::string notice_;
};

/// Shows a batch on stderr, and writes its events.
class BatchView final : public scheduler::BatchObserver {
public:
    /// `events`: a file to append to; empty: none.
    static Result<std::unique_ptr<BatchView>> make(Console& console, const Clock& clock, std::string batch_id,
                                                   const std::string& events);
    ~BatchView() override { clear(); }

    void on_event(const scheduler::BatchEvent& event) override;
    void on_tick() override;

private:
    BatchView(Console& console, const Clock& clock, std::string batch_id)
        : console_(console), clock_(clock), batch_id_(std::move(batch_id)) {}
    void clear();
    void write_event(const scheduler::BatchEvent& event);
    bool moves() const { return console_.err_is_terminal() && !console_.quiet(); }

    Console& console_;
    const Clock& clock_;
    std::string batch_id_;
    Fd events_;
    bool events_failed_ = false;
    BatchBoard board_;
    std::size_t shown_ = 0;  ///< lines of the block on the screen
    std::optional<MonotonicTime> drawn_;
};

}  // namespace vmette::cli
