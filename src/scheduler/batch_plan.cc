#include "scheduler/batch_plan.h"

#include <algorithm>
#include <numeric>

namespace vmette::scheduler {

bool Room::holds(const Room& wanted) const {
    return wanted.vms <= vms && wanted.vcpus <= vcpus && wanted.memory_mib <= memory_mib &&
           wanted.scratch_mib <= scratch_mib;
}

Room& Room::operator+=(const Room& other) {
    vms += other.vms;
    vcpus += other.vcpus;
    memory_mib += other.memory_mib;
    scratch_mib += other.scratch_mib;
    return *this;
}

Room& Room::operator-=(const Room& other) {
    vms -= other.vms;
    vcpus -= other.vcpus;
    memory_mib -= other.memory_mib;
    scratch_mib -= other.scratch_mib;
    return *this;
}

BatchPlan::BatchPlan(std::uint32_t groups) : group_waits_(groups), group_failed_(groups) {}

std::uint32_t BatchPlan::add_job(const PlanJob& job) {
    jobs_.push_back({.room = job.room, .priority = job.priority, .group = job.group, .state = job.state});
    not_before_.push_back(job.not_before);
    ++counts_[static_cast<std::size_t>(job.state)];
    return size() - 1;
}

void BatchPlan::needs_job(std::uint32_t job, std::uint32_t needed) { edges_.emplace_back(needed, job); }

// Group nodes stand behind the jobs, whose number is known only at the end: until then they count down from the top.
void BatchPlan::needs_group(std::uint32_t job, std::uint32_t group) { edges_.emplace_back(UINT32_MAX - group, job); }

void BatchPlan::seal() {
    rank_jobs();
    link();
    ready_ = RankSet(size());
    for (const Job& job : jobs_) ++group_waits_[job.group];
    for (std::uint32_t job = 0; job < size(); ++job)
        if (jobs_[job].state == PlanState::pending && jobs_[job].waits_for == 0) wait_or_ready(job, not_before_[job]);
    for (std::uint32_t job = 0; job < size(); ++job)
        if (is_settled(jobs_[job].state)) settle(job);
}

void BatchPlan::rank_jobs() {
    by_rank_.resize(size());
    std::iota(by_rank_.begin(), by_rank_.end(), 0);
    std::ranges::stable_sort(by_rank_, std::greater{}, [this](std::uint32_t job) { return jobs_[job].priority; });
    for (std::uint32_t rank = 0; rank < size(); ++rank) jobs_[by_rank_[rank]].rank = rank;
}

/// The needs as lists of dependents, one after the other.
void BatchPlan::link() {
    auto groups = static_cast<std::uint32_t>(group_waits_.size());
    first_dependent_.assign(size() + groups + 1, 0);
    for (auto& [needed, job] : edges_) {
        if (needed > UINT32_MAX - groups) needed = group_node(UINT32_MAX - needed);
        ++first_dependent_[needed + 1];
        ++jobs_[job].waits_for;
    }
    std::partial_sum(first_dependent_.begin(), first_dependent_.end(), first_dependent_.begin());
    dependents_.resize(edges_.size());
    auto place = first_dependent_;
    for (const auto& [needed, job] : edges_) dependents_[place[needed]++] = job;
    edges_ = {};
}

void BatchPlan::set_state(std::uint32_t job, PlanState state) {
    --counts_[static_cast<std::size_t>(jobs_[job].state)];
    ++counts_[static_cast<std::size_t>(state)];
    jobs_[job].state = state;
}

void BatchPlan::wait_or_ready(std::uint32_t job, PlanTime not_before) {
    if (not_before > 0)
        timers_.push({not_before, job});
    else
        ready_.insert(jobs_[job].rank);
}

void BatchPlan::wake(PlanTime now) {
    while (!timers_.empty() && timers_.top().at <= now) {
        std::uint32_t job = timers_.top().job;
        timers_.pop();
        if (jobs_[job].state == PlanState::pending) ready_.insert(jobs_[job].rank);
    }
}

std::optional<PlanTime> BatchPlan::wakes_at() const {
    if (timers_.empty()) return std::nullopt;
    return timers_.top().at;
}

std::optional<std::uint32_t> BatchPlan::next(PlanTime now, const Room& free) {
    wake(now);
    if (free.vms == 0) return std::nullopt;
    auto first = ready_.next();
    if (!first) return std::nullopt;
    if (free.holds(jobs_[by_rank_[*first]].room)) return start(*first);
    return overtaking(*first, free);
}

std::optional<std::uint32_t> BatchPlan::overtaking(std::uint32_t blocked_rank, const Room& free) {
    auto& overtakes = overtaken_[by_rank_[blocked_rank]];
    if (overtakes >= kOvertakes) return std::nullopt;
    auto rank = ready_.next(blocked_rank + 1);
    for (std::uint32_t looked = 0; rank && looked < kLookahead; ++looked) {
        if (free.holds(jobs_[by_rank_[*rank]].room)) {
            ++overtakes;
            return start(*rank);
        }
        rank = ready_.next(*rank + 1);
    }
    return std::nullopt;
}

std::uint32_t BatchPlan::start(std::uint32_t rank) {
    std::uint32_t job = by_rank_[rank];
    ready_.erase(rank);
    if (!overtaken_.empty()) overtaken_.erase(job);
    set_state(job, PlanState::running);
    return job;
}

void BatchPlan::put_back(std::uint32_t job) {
    set_state(job, PlanState::pending);
    ready_.insert(jobs_[job].rank);
}

void BatchPlan::retry(std::uint32_t job, PlanTime not_before) {
    set_state(job, PlanState::pending);
    wait_or_ready(job, not_before);
}

void BatchPlan::finished(std::uint32_t job, PlanState state) {
    set_state(job, state);
    settle(job);
}

bool BatchPlan::cancel(std::uint32_t job) {
    if (jobs_[job].state != PlanState::pending) return false;
    ready_.erase(jobs_[job].rank);
    set_state(job, PlanState::cancelled);
    settled_.push_back({job, PlanState::cancelled, job});
    settle(job);
    return true;
}

void BatchPlan::cancel_pending() {
    for (std::uint32_t job = 0; job < size(); ++job) {
        if (jobs_[job].state != PlanState::pending) continue;
        ready_.erase(jobs_[job].rank);
        set_state(job, PlanState::cancelled);
        settled_.push_back({job, PlanState::cancelled, job});
    }
}

void BatchPlan::settle(std::uint32_t job) {
    std::uint32_t group = jobs_[job].group;
    if (jobs_[job].state == PlanState::succeeded) {
        satisfied(job);
        if (--group_waits_[group] == 0) satisfied(group_node(group));
        return;
    }
    skip_dependents(job, job);
}

void BatchPlan::satisfied(Node node) {
    for (auto i = first_dependent_[node]; i < first_dependent_[node + 1]; ++i) {
        std::uint32_t job = dependents_[i];
        if (--jobs_[job].waits_for == 0 && jobs_[job].state == PlanState::pending) wait_or_ready(job, not_before_[job]);
    }
}

/// A job that is skipped has dependents of its own, and a group that cannot succeed any more too: a chain of them may
/// be as long as the batch, so this goes without recursion.
void BatchPlan::skip_dependents(Node node, std::uint32_t because_of) {
    std::vector<Node> pending{node};
    while (!pending.empty()) {
        Node failed = pending.back();
        pending.pop_back();
        if (failed < size()) {
            std::uint32_t group = jobs_[failed].group;
            if (!group_failed_[group]) {
                group_failed_[group] = true;
                pending.push_back(group_node(group));
            }
        }
        for (auto i = first_dependent_[failed]; i < first_dependent_[failed + 1]; ++i) {
            std::uint32_t job = dependents_[i];
            if (jobs_[job].state != PlanState::pending) continue;
            set_state(job, PlanState::skipped);
            settled_.push_back({job, PlanState::skipped, because_of});
            pending.push_back(job);
        }
    }
}

}  // namespace vmette::scheduler
