/// The decisions of a batch alone, with machines that end in the order they were started: time and memory a job from a
/// thousand jobs to a million, beside the obvious way to write it (an ordered set of what is ready, lists of who waits
/// for whom). A third of the jobs need two earlier ones.

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <random>
#include <set>
#include <vector>

#include "scheduler/batch_plan.h"

namespace vmette::scheduler {
namespace {

constexpr std::uint32_t kMachines = 64;
constexpr Room kPool{kMachines, UINT32_MAX, UINT64_MAX, UINT64_MAX};
constexpr Room kOne{1, 1, 512, 0};

struct Work {
    std::vector<std::int32_t> priority;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> needs;  ///< (job, needed)
};

Work make_work(std::uint32_t count) {
    std::mt19937 random(count);
    Work work;
    for (std::uint32_t i = 0; i < count; ++i) {
        work.priority.push_back(static_cast<std::int32_t>(random() % 4));
        if (i == 0 || i % 3 != 0) continue;
        for (int edge = 0; edge < 2; ++edge) work.needs.emplace_back(i, i - 1 - random() % std::min(i, 1000U));
    }
    return work;
}

/// Both ways: how many were started, in which order, as a sum that depends on the order.
using Checksum = std::uint64_t;
Checksum mix(Checksum sum, std::uint32_t job) { return (sum ^ job) * 0x100000001b3; }

Checksum ours(const Work& work) {
    BatchPlan plan(1);
    for (auto priority : work.priority) plan.add_job({.priority = priority, .room = kOne});
    for (auto [job, needed] : work.needs) plan.needs_job(job, needed);
    plan.seal();
    std::deque<std::uint32_t> running;
    Room free = kPool;
    Checksum sum = 0;
    while (!plan.done()) {
        while (auto next = plan.next(0, free)) {
            running.push_back(*next);
            free -= plan.room(*next);
            sum = mix(sum, *next);
        }
        free += plan.room(running.front());
        plan.finished(running.front(), PlanState::succeeded);
        running.pop_front();
    }
    return sum;
}

Checksum obvious(const Work& work) {
    auto count = static_cast<std::uint32_t>(work.priority.size());
    std::vector<std::vector<std::uint32_t>> dependents(count);
    std::vector<std::uint32_t> waits(count);
    for (auto [job, needed] : work.needs) {
        dependents[needed].push_back(job);
        ++waits[job];
    }
    std::set<std::pair<std::int32_t, std::uint32_t>> ready;
    for (std::uint32_t i = 0; i < count; ++i)
        if (waits[i] == 0) ready.emplace(-work.priority[i], i);
    std::deque<std::uint32_t> running;
    Checksum sum = 0;
    while (!ready.empty() || !running.empty()) {
        while (!ready.empty() && running.size() < kMachines) {
            auto job = ready.begin()->second;
            ready.erase(ready.begin());
            running.push_back(job);
            sum = mix(sum, job);
        }
        for (auto job : dependents[running.front()])
            if (--waits[job] == 0) ready.emplace(-work.priority[job], job);
        running.pop_front();
    }
    return sum;
}

double seconds(Checksum (*way)(const Work&), const Work& work, Checksum& sum) {
    auto begin = std::chrono::steady_clock::now();
    sum = way(work);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double bytes_a_job(const Work& work) {
    ::malloc_trim(0);
    auto before = ::mallinfo2();
    BatchPlan plan(1);
    for (auto priority : work.priority) plan.add_job({.priority = priority, .room = kOne});
    for (auto [job, needed] : work.needs) plan.needs_job(job, needed);
    plan.seal();
    auto after = ::mallinfo2();
    auto grown = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
    return static_cast<double>(grown) / plan.size();
}

int run() {
    std::printf("%10s %12s %12s %12s %12s %8s\n", "jobs", "ns a job", "jobs/s", "bytes a job", "obvious, ns", "ratio");
    for (std::uint32_t count : {1'000U, 10'000U, 100'000U, 1'000'000U}) {
        Work work = make_work(count);
        std::vector<double> our_times, their_times;
        for (int round = 0; round < 5; ++round) {
            Checksum our_sum = 0, their_sum = 0;
            our_times.push_back(seconds(ours, work, our_sum));
            their_times.push_back(seconds(obvious, work, their_sum));
            if (our_sum != their_sum) {
                std::fprintf(stderr, "plan_bench: the two ways started the jobs in different orders\n");
                return 1;
            }
        }
        std::ranges::sort(our_times);
        std::ranges::sort(their_times);
        double a_job = our_times[2] / count, theirs = their_times[2] / count;
        std::printf("%10u %12.0f %12.0f %12.0f %12.0f %7.2fx\n", count, a_job * 1e9, 1 / a_job, bytes_a_job(work),
                    theirs * 1e9, a_job / theirs);
    }
    return 0;
}

}  // namespace
}  // namespace vmette::scheduler

int main() { return vmette::scheduler::run(); }
