#include "scheduler/batch_plan.h"

#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace vmette::scheduler {
namespace {

constexpr Room kSmall{1, 1, 512, 0};
constexpr Room kLarge{1, 1, 4096, 0};

PlanJob job(std::int32_t priority = 0, std::uint32_t group = 0, Room room = kSmall) {
    return {.priority = priority, .group = group, .room = room};
}

/// A plan of `count` small jobs in one group, not sealed.
BatchPlan plain(std::uint32_t count) {
    BatchPlan plan(1);
    for (std::uint32_t i = 0; i < count; ++i) plan.add_job(job());
    return plan;
}

TEST(BatchPlanTest, StartsByPriorityThenInTheOrderOfTheFile) {
    BatchPlan plan(1);
    for (int priority : {0, 5, 0, 5, -1}) plan.add_job(job(priority));
    plan.seal();
    std::vector<std::uint32_t> order;
    while (auto next = plan.next(0, kUnbounded)) order.push_back(*next);
    EXPECT_EQ(order, (std::vector<std::uint32_t>{1, 3, 0, 2, 4}));
}

TEST(BatchPlanTest, JobWaitsForAllItNeeds) {
    auto plan = plain(3);
    plan.needs_job(2, 0);
    plan.needs_job(2, 1);
    plan.seal();
    EXPECT_EQ(plan.next(0, kUnbounded), 0U);
    EXPECT_EQ(plan.next(0, kUnbounded), 1U);
    EXPECT_EQ(plan.next(0, kUnbounded), std::nullopt);
    plan.finished(0, PlanState::succeeded);
    EXPECT_EQ(plan.next(0, kUnbounded), std::nullopt);
    plan.finished(1, PlanState::succeeded);
    EXPECT_EQ(plan.next(0, kUnbounded), 2U);
    plan.finished(2, PlanState::succeeded);
    EXPECT_TRUE(plan.done());
}

TEST(BatchPlanTest, JobWaitsForAWholeGroup) {
    BatchPlan plan(2);
    for (std::uint32_t i = 0; i < 3; ++i) plan.add_job(job(0, 0));
    plan.add_job(job(0, 1));
    plan.needs_group(3, 0);
    plan.seal();
    for (std::uint32_t i = 0; i < 3; ++i) {
        EXPECT_EQ(plan.next(0, kUnbounded), i);
        EXPECT_EQ(plan.next(0, {1, 1, 0, 0}), std::nullopt);
    }
    for (std::uint32_t i = 0; i < 3; ++i) {
        EXPECT_EQ(plan.next(0, kUnbounded), std::nullopt);
        plan.finished(i, PlanState::succeeded);
    }
    EXPECT_EQ(plan.next(0, kUnbounded), 3U);
}

TEST(BatchPlanTest, FailedJobSkipsItsDependents) {
    auto plan = plain(4);
    plan.needs_job(1, 0);
    plan.needs_job(2, 1);
    plan.seal();
    EXPECT_EQ(plan.next(0, kUnbounded), 0U);
    plan.finished(0, PlanState::failed);
    EXPECT_EQ(plan.take_settled(), (std::vector<Settled>{{1, PlanState::skipped, 0}, {2, PlanState::skipped, 0}}));
    EXPECT_EQ(plan.next(0, kUnbounded), 3U);
    plan.finished(3, PlanState::succeeded);
    EXPECT_TRUE(plan.done());
    EXPECT_EQ(plan.count(PlanState::skipped), 2U);
}

TEST(BatchPlanTest, FailureInAGroupSkipsWhoeverNeedsTheGroup) {
    BatchPlan plan(2);
    plan.add_job(job(0, 0));
    plan.add_job(job(0, 0));
    plan.add_job(job(0, 1));
    plan.needs_group(2, 0);
    plan.seal();
    EXPECT_EQ(plan.next(0, kUnbounded), 0U);
    plan.finished(0, PlanState::unknown);
    EXPECT_EQ(plan.take_settled(), (std::vector<Settled>{{2, PlanState::skipped, 0}}));
    EXPECT_EQ(plan.next(0, kUnbounded), 1U);
    plan.finished(1, PlanState::succeeded);
    EXPECT_TRUE(plan.done());
}

TEST(BatchPlanTest, ChainAsLongAsTheBatchIsSkippedWithoutRecursion) {
    constexpr std::uint32_t kCount = 300'000;
    auto plan = plain(kCount);
    for (std::uint32_t i = 1; i < kCount; ++i) plan.needs_job(i, i - 1);
    plan.seal();
    ASSERT_EQ(plan.next(0, kUnbounded), 0U);
    plan.finished(0, PlanState::failed);
    EXPECT_EQ(plan.take_settled().size(), kCount - 1);
    EXPECT_TRUE(plan.done());
}

TEST(BatchPlanTest, SmallerJobsOvertakeALargeOneOnlySoOften) {
    BatchPlan plan(1);
    plan.add_job(job(0, 0, kLarge));
    for (int i = 0; i < 100; ++i) plan.add_job(job());
    plan.seal();
    const Room tight{8, 8, 1024, 0};
    std::uint32_t overtook = 0;
    while (auto next = plan.next(0, tight)) {
        ASSERT_NE(*next, 0U);
        plan.finished(*next, PlanState::succeeded);
        ++overtook;
    }
    EXPECT_EQ(overtook, BatchPlan::kOvertakes);
    EXPECT_EQ(plan.next(0, {8, 8, 4096, 0}), 0U);
    EXPECT_EQ(plan.next(0, tight), BatchPlan::kOvertakes + 1);
}

TEST(BatchPlanTest, NothingStartsWithoutAFreeMachine) {
    auto plan = plain(1);
    plan.seal();
    EXPECT_EQ(plan.next(0, {0, 8, 4096, 0}), std::nullopt);
    EXPECT_EQ(plan.count(PlanState::pending), 1U);
}

TEST(BatchPlanTest, RetriedJobWaitsForItsTime) {
    auto plan = plain(2);
    plan.seal();
    EXPECT_EQ(plan.next(0, kUnbounded), 0U);
    plan.retry(0, 500);
    EXPECT_EQ(plan.wakes_at(), 500);
    EXPECT_EQ(plan.next(499, kUnbounded), 1U);
    EXPECT_EQ(plan.next(499, kUnbounded), std::nullopt);
    EXPECT_EQ(plan.next(500, kUnbounded), 0U);
    EXPECT_EQ(plan.wakes_at(), std::nullopt);
}

TEST(BatchPlanTest, JobPutBackIsTheNextAgain) {
    auto plan = plain(2);
    plan.seal();
    EXPECT_EQ(plan.next(0, kUnbounded), 0U);
    plan.put_back(0);
    EXPECT_EQ(plan.next(0, kUnbounded), 0U);
}

TEST(BatchPlanTest, CancelledJobSkipsItsDependentsAndNeverStarts) {
    auto plan = plain(3);
    plan.needs_job(1, 0);
    plan.seal();
    EXPECT_TRUE(plan.cancel(0));
    EXPECT_FALSE(plan.cancel(0));
    EXPECT_EQ(plan.take_settled(), (std::vector<Settled>{{0, PlanState::cancelled, 0}, {1, PlanState::skipped, 0}}));
    EXPECT_EQ(plan.next(0, kUnbounded), 2U);
    EXPECT_EQ(plan.next(0, kUnbounded), std::nullopt);
}

TEST(BatchPlanTest, CancellingWhatWaitsForATimeEndsIt) {
    auto plan = plain(1);
    plan.seal();
    EXPECT_EQ(plan.next(0, kUnbounded), 0U);
    plan.retry(0, 500);
    plan.cancel_pending();
    EXPECT_TRUE(plan.done());
    EXPECT_EQ(plan.next(1000, kUnbounded), std::nullopt);
}

TEST(BatchPlanTest, ResumedBatchGoesOnWhereItWas) {
    BatchPlan plan(1);
    plan.add_job({.room = kSmall, .state = PlanState::succeeded});
    plan.add_job({.room = kSmall});  // needs what succeeded
    plan.add_job({.room = kSmall, .state = PlanState::failed});
    plan.add_job({.room = kSmall});                      // needs what failed: skipped only now
    plan.add_job({.room = kSmall, .not_before = 1000});  // needs what succeeded, and waits for its next try
    plan.needs_job(1, 0);
    plan.needs_job(3, 2);
    plan.needs_job(4, 0);
    plan.seal();
    EXPECT_EQ(plan.take_settled(), (std::vector<Settled>{{3, PlanState::skipped, 2}}));
    EXPECT_EQ(plan.next(999, kUnbounded), 1U);
    EXPECT_EQ(plan.next(999, kUnbounded), std::nullopt);
    EXPECT_EQ(plan.next(1000, kUnbounded), 4U);
}

/// A batch made by chance is played with ends made by chance; what must hold is checked at each step.
class RandomBatch {
public:
    explicit RandomBatch(unsigned seed) : random_(seed), plan_(kGroups), needs_(kJobs) {
        for (std::uint32_t i = 0; i < kJobs; ++i) {
            plan_.add_job({.priority = number(3),
                           .group = i * kGroups / kJobs,
                           .room = {1, 1, 100U + 100U * static_cast<unsigned>(number(9)), 0}});
            if (i == 0 || number(2) != 0) continue;
            auto needed = static_cast<std::uint32_t>(number(static_cast<int>(i)));
            plan_.needs_job(i, needed);
            needs_[i].push_back(needed);
        }
        plan_.seal();
    }

    void play() {
        while (!plan_.done()) {
            while (auto next = plan_.next(now_, free())) start(*next);
            if (running_.empty()) {
                ASSERT_TRUE(plan_.wakes_at()) << "jobs are left and nothing can happen";
                now_ = *plan_.wakes_at();
                continue;
            }
            end_one();
        }
        for (const auto& settled : plan_.take_settled()) EXPECT_EQ(starts_[settled.job], 0U);
    }

    const BatchPlan& plan() const { return plan_; }

private:
    static constexpr std::uint32_t kJobs = 400, kGroups = 4;
    static constexpr Room kPool{6, 6, 1500, 0};

    int number(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

    Room free() const {
        Room out = kPool;
        for (auto job : running_) out -= plan_.room(job);
        return out;
    }

    void start(std::uint32_t job) {
        for (auto needed : needs_[job]) EXPECT_EQ(plan_.state(needed), PlanState::succeeded);
        EXPECT_TRUE(free().holds(plan_.room(job)));
        EXPECT_TRUE(running_.insert(job).second);
        ++starts_[job];
    }

    void end_one() {
        auto job = *std::next(running_.begin(), number(static_cast<int>(running_.size())));
        running_.erase(job);
        ++now_;
        switch (number(12)) {
            case 0:
                return plan_.finished(job, PlanState::failed);
            case 1:
                return plan_.retry(job, now_ + number(20));
            default:
                return plan_.finished(job, PlanState::succeeded);
        }
    }

    std::mt19937 random_;
    BatchPlan plan_;
    std::vector<std::vector<std::uint32_t>> needs_;
    std::set<std::uint32_t> running_;
    std::map<std::uint32_t, std::uint32_t> starts_;
    PlanTime now_ = 1;
};

TEST(BatchPlanTest, AnyBatchComesToItsEndWithinItsBoundsAndInOrder) {
    for (unsigned seed = 0; seed < 100; ++seed) {
        SCOPED_TRACE(seed);
        RandomBatch batch(seed);
        batch.play();
        EXPECT_GT(batch.plan().count(PlanState::succeeded), 0U);
        if (HasFatalFailure()) return;
    }
}

}  // namespace
}  // namespace vmette::scheduler
