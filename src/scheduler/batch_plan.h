#pragma once
/// Which job of a batch starts next: a pure function of what is ready, what there is room for, and the time it is told.
/// No clock, no process, no store: tested whole, and as fast for a million jobs as for a thousand.

#include <cstdint>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/rank_set.h"

namespace vmette::scheduler {

/// Milliseconds on whatever clock the caller keeps.
using PlanTime = std::int64_t;

/// What machines take, or what there is for them.
struct Room {
    std::uint32_t vms = 0;
    std::uint32_t vcpus = 0;
    std::uint64_t memory_mib = 0;
    std::uint64_t scratch_mib = 0;
    bool operator==(const Room&) const = default;
    bool holds(const Room& wanted) const;
    Room& operator+=(const Room& other);
    Room& operator-=(const Room& other);
};

/// A bound that is none.
constexpr Room kUnbounded{UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX};

enum class PlanState : std::uint8_t { pending, running, succeeded, failed, skipped, cancelled, unknown };

/// Whether nothing more comes of a job in this state.
constexpr bool is_settled(PlanState state) { return state != PlanState::pending && state != PlanState::running; }

struct PlanJob {
    std::int32_t priority = 0;  ///< higher goes first; equal ones in the order they were added
    std::uint32_t group = 0;
    Room room;  ///< with vms = 1
    PlanState state = PlanState::pending;
    PlanTime not_before = 0;  ///< of a pending one
};

/// A job that was settled by what became of another one.
struct Settled {
    std::uint32_t job = 0;
    PlanState state = PlanState::skipped;
    std::uint32_t because_of = 0;  ///< the job that did not succeed; the job itself when it was cancelled
    bool operator==(const Settled&) const = default;
};

/// The jobs of one batch. Used so: add jobs, then needs, then seal(); from then on next() and the events.
class BatchPlan {
public:
    /// `groups` is how many there are.
    explicit BatchPlan(std::uint32_t groups);

    /// Jobs are numbered from 0 in the order they are added.
    std::uint32_t add_job(const PlanJob& job);
    void needs_job(std::uint32_t job, std::uint32_t needed);
    void needs_group(std::uint32_t job, std::uint32_t group);
    /// Requires that needs form no circle. Jobs that were settled before (of a resumed batch) count as they are; what
    /// follows from them waits in take_settled().
    void seal();

    /// The next job to start at `now` in what is `free`; it is running from here on. Nothing: none is ready, or none
    /// fits. A job that does not fit is overtaken by at most kOvertakes smaller ones, then they wait until it fits.
    std::optional<std::uint32_t> next(PlanTime now, const Room& free);
    /// Undoes a start that could not be made.
    void put_back(std::uint32_t job);

    /// A running job's end. `state` is settled.
    void finished(std::uint32_t job, PlanState state);
    /// A running job is pending again until then.
    void retry(std::uint32_t job, PlanTime not_before);
    /// A pending job is given up (a running one is the caller's to stop). False when it was not pending.
    bool cancel(std::uint32_t job);
    void cancel_pending();
    /// Jobs that were settled by these events, each once, in the order it happened.
    std::vector<Settled> take_settled() { return std::exchange(settled_, {}); }

    PlanState state(std::uint32_t job) const { return jobs_[job].state; }
    const Room& room(std::uint32_t job) const { return jobs_[job].room; }
    std::uint32_t count(PlanState state) const { return counts_[static_cast<std::size_t>(state)]; }
    std::uint32_t size() const { return static_cast<std::uint32_t>(jobs_.size()); }
    /// Nothing is pending or running.
    bool done() const { return count(PlanState::pending) == 0 && count(PlanState::running) == 0; }
    /// When the next job that waits for its time may start; nothing when none does.
    std::optional<PlanTime> wakes_at() const;

    /// How often a job that does not fit is overtaken.
    static constexpr std::uint32_t kOvertakes = 16;
    /// How many ready jobs are looked at behind one that does not fit.
    static constexpr std::uint32_t kLookahead = 64;

private:
    struct Job {
        Room room;
        std::int32_t priority = 0;
        std::uint32_t group = 0;
        std::uint32_t rank = 0;       ///< its place in the order of starting
        std::uint32_t waits_for = 0;  ///< needs that are not settled
        PlanState state = PlanState::pending;
    };
    /// Nodes are the jobs, and behind them the groups.
    using Node = std::uint32_t;
    struct Timer {
        PlanTime at;
        std::uint32_t job;
        bool operator>(const Timer& other) const { return std::pair(at, job) > std::pair(other.at, other.job); }
    };

    Node group_node(std::uint32_t group) const { return size() + group; }
    void set_state(std::uint32_t job, PlanState state);
    void rank_jobs();
    void link();
    void wait_or_ready(std::uint32_t job, PlanTime not_before);
    void wake(PlanTime now);
    /// What follows from a job's end.
    void settle(std::uint32_t job);
    void satisfied(Node node);
    void skip_dependents(Node node, std::uint32_t because_of);
    std::optional<std::uint32_t> overtaking(std::uint32_t blocked_rank, const Room& free);
    std::uint32_t start(std::uint32_t rank);

    std::vector<Job> jobs_;
    std::vector<std::uint32_t> by_rank_;
    std::vector<std::uint32_t> group_waits_;  ///< jobs of each group that have not succeeded
    std::vector<bool> group_failed_;
    std::vector<std::pair<Node, std::uint32_t>> edges_;  ///< (needed, job), until seal()
    std::vector<std::uint32_t> first_dependent_;         ///< by node, into dependents_; one more than there are nodes
    std::vector<std::uint32_t> dependents_;
    RankSet ready_;
    std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
    std::vector<PlanTime> not_before_;                            ///< of jobs, as they were added
    std::unordered_map<std::uint32_t, std::uint32_t> overtaken_;  ///< of jobs that did not fit, by job
    std::vector<Settled> settled_;
    std::uint32_t counts_[7] = {};
};

}  // namespace vmette::scheduler
