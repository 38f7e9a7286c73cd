#pragma once
/// The loop behind drive_batch().

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/batch_plan.h"
#include "scheduler/batch_run.h"
#include "scheduler/throttle.h"

namespace vmette::scheduler {

/// Used once, on one thread.
class BatchDriver {
public:
    BatchDriver(const BatchHost& host, const store::BatchRecord& batch, manifest::BatchRules rules);
    Result<BatchOutcome> drive();

private:
    /// Why no new jobs are started; the first one stays.
    enum class Ending { none, interrupted, cancelled, fail_fast, max_failures, deadline, broken };
    struct Running {
        std::string run_id;
        MonotonicTime since;
        std::int64_t claim = 0;  ///< of the shared pool; 0: none
        bool cancelled = false;  ///< its stop is for good, not for a resume
    };

    Result<> load();
    void build_plan();
    void warn_of_small_room();
    void loop();
    void wait();
    void hear_stop();
    void hear_cancels();
    void hear_attempts();
    void attempt_ended(AttemptEvent& event);
    void settle(std::uint32_t job, const store::JobChange& change, const AttemptEvent& event, Duration duration);
    void note_settled();
    void check_limits(store::JobState state);
    void admit();
    bool claim_room(std::uint32_t job, std::int64_t& claim);
    Room free_room() const;
    void begin(std::uint32_t job, std::int64_t claim);
    void flush();
    void end_early(Ending why, std::string_view text);
    void stop_running(int signal, bool for_good);
    void cancel_job(std::uint32_t job);
    store::BatchStatus final_status() const;
    BatchEvent event(BatchEvent::Kind kind, std::optional<std::uint32_t> job = std::nullopt) const;
    void tell(BatchEvent event) { host_.observer.on_event(event); }
    void warn(std::string text);
    store::JobCounts counts() const;
    PlanTime now() const;

    BatchHost host_;
    const store::BatchRecord& batch_;
    manifest::BatchRules rules_;
    store::Batches queue_;
    ProcessIdentity self_;
    std::vector<store::JobRecord> jobs_;
    std::optional<BatchPlan> plan_;
    Room bound_, used_;
    Throttle throttle_;
    std::map<std::uint32_t, Running> running_;
    std::vector<store::JobChange> changes_;  ///< not yet written
    std::vector<AttemptOrder> orders_;       ///< to be started once their jobs' states are written
    bool durable_ = false;                   ///< some change must outlive the host
    Ending ending_ = Ending::none;
    std::optional<MonotonicTime> finish_until_;  ///< what runs may go on until then
    std::uint32_t stops_ = 0;                    ///< requests to stop so far
    std::uint32_t failures_ = 0;
    MonotonicTime began_{}, cancels_read_{}, pressure_read_{}, claim_refused_{};
    std::optional<MonotonicTime> write_failed_;
    std::optional<Error> broken_;
};

}  // namespace vmette::scheduler
