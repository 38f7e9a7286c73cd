#pragma once
/// A batch from its queue to its end: joins the plan to the store, to the attempts and to whoever watches.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/layout.h"
#include "rootfs/provider.h"
#include "scheduler/attempts.h"
#include "scheduler/batch_rules.h"
#include "scheduler/stop.h"
#include "store/batches.h"

namespace vmette::scheduler {

/// Something that happened in a batch.
struct BatchEvent {
    enum class Kind {
        batch_started,
        job_started,
        job_phase,    ///< of a running attempt
        job_retried,  ///< the attempt failed, another follows after `wait`
        job_ended,    ///< the job is settled by its own attempt
        job_settled,  ///< skipped or cancelled without running
        warning,
        stopping,  ///< no new jobs from here on; `text` says why
        batch_ended,
    };
    Kind kind = Kind::batch_started;
    WallTime at{};
    std::optional<std::uint32_t> job;
    std::string name;  ///< of the job
    std::uint32_t attempt = 0;
    std::string run_id;
    store::JobState state = store::JobState::pending;
    std::string reason;
    std::optional<int> exit_code;
    Duration duration{0};  ///< of the attempt
    Duration wait{0};
    bool reused = false;
    std::string text;  ///< phase, warning, error: harmless, one line
    store::JobCounts counts;
    std::uint32_t window = 0;  ///< how many machines may run at once now
};
std::string_view to_string(BatchEvent::Kind kind);

/// Called on the thread that drives the batch.
class BatchObserver {
public:
    virtual ~BatchObserver() = default;
    virtual void on_event(const BatchEvent& event) = 0;
    /// Some ten times a second, for a view that moves.
    virtual void on_tick() = 0;
};

/// What a batch is run with; borrowed.
struct BatchHost {
    const Layout& layout;
    const Clock& clock;
    store::Store& store;
    Attempts& attempts;
    StopSource& stop;
    BatchObserver& observer;
    HostSize size;
    /// MiB free where scratch disks are made; nothing: not known.
    std::function<std::optional<std::uint64_t>()> free_disk_mib;
    /// A random number of [0, 1) for the spread of retries.
    std::function<double()> dice;
};

struct BatchOutcome {
    store::BatchStatus status = store::BatchStatus::interrupted;
    store::JobCounts counts;
    std::uint32_t reused = 0;  ///< of those that succeeded: whose result is an earlier run's
};

/// Drives a batch that this process has made or taken (store::Batches::take) until every job is settled or the stop
/// source asks for the end: once, no new jobs are started and what runs may finish for a short while before it is
/// stopped with its grace; twice, it is pulled at once. Gives the batch up at the end. Errors: the queue cannot be
/// written any more (nothing new was started since; what ran was stopped and can be resumed).
Result<BatchOutcome> drive_batch(const BatchHost& host, const store::BatchRecord& batch);

/// How long what runs may go on after the first request to stop.
constexpr Duration kFinishGrace = std::chrono::seconds(5);

/// vmette's exit code.
int batch_exit_code(const BatchOutcome& outcome);

}  // namespace vmette::scheduler
