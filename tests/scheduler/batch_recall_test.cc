#include "scheduler/batch_recall.h"

#include <gtest/gtest.h>

#include "scheduler/retry.h"

namespace vmette::scheduler {
namespace {

using store::JobState;
using store::RunStatus;

constexpr WallTime kNow{std::chrono::hours(500'000)};

store::JobRecord job(JobState state, std::uint32_t attempts, const manifest::Retry& rule = {}) {
    store::JobRecord out;
    out.name = "job";
    out.state = state;
    out.attempts = attempts;
    out.retry = to_json(rule);
    return out;
}

store::RunRecord run(std::uint32_t attempt, RunStatus status, const std::string& reason) {
    store::RunRecord out;
    out.id = "run-" + std::to_string(attempt);
    out.job = "job";
    out.attempt = attempt;
    out.status = status;
    out.reason = reason;
    return out;
}

std::vector<store::JobChange> recalled(const store::JobRecord& job, const std::vector<store::RunRecord>& runs) {
    return recall({job}, runs, kNow, [] { return 0.0; });
}

TEST(BatchRecallTest, SettledAndWaitingJobsStayAsTheyAre) {
    EXPECT_TRUE(recalled(job(JobState::succeeded, 1), {run(1, RunStatus::succeeded, "exited")}).empty());
    EXPECT_TRUE(recalled(job(JobState::pending, 0), {}).empty());
    EXPECT_TRUE(recalled(job(JobState::pending, 1), {run(1, RunStatus::failed, "timeout")}).empty());
}

TEST(BatchRecallTest, AttemptThatNeverCameToBeIsNotCounted) {
    auto changes = recalled(job(JobState::running, 1), {});
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].state, JobState::pending);
    EXPECT_EQ(changes[0].attempts, 0U);
}

TEST(BatchRecallTest, EndThatNobodyHeardCounts) {
    auto changes = recalled(job(JobState::running, 2),
                            {run(1, RunStatus::failed, "timeout"), run(2, RunStatus::succeeded, "exited")});
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].state, JobState::succeeded);
    EXPECT_EQ(changes[0].run_id, "run-2");
}

TEST(BatchRecallTest, RunOfWhichTheQueueDoesNotKnowCounts) {
    auto changes = recalled(job(JobState::pending, 0), {run(1, RunStatus::succeeded, "exited")});
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].state, JobState::succeeded);
    EXPECT_EQ(changes[0].attempts, 1U);
}

TEST(BatchRecallTest, AttemptLostBeforeItsCommandBeganIsRepeated) {
    auto lost = run(1, RunStatus::lost, "lost");
    auto changes = recalled(job(JobState::running, 1), {lost});
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].state, JobState::pending);
    EXPECT_EQ(changes[0].attempts, 1U);
}

TEST(BatchRecallTest, OutcomeOfACommandThatHadBegunIsUnknownUnlessTheRuleRepeatsIt) {
    auto lost = run(1, RunStatus::lost, "lost");
    lost.started_before_failure = true;
    auto changes = recalled(job(JobState::running, 1), {lost});
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].state, JobState::unknown);
    EXPECT_EQ(changes[0].at, kNow);

    manifest::Retry again{1, {{"lost", {}}}, std::chrono::seconds(2)};
    changes = recalled(job(JobState::running, 1, again), {lost});
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].state, JobState::pending);
    EXPECT_EQ(changes[0].not_before, kNow + std::chrono::seconds(1));
}

TEST(BatchRecallTest, WhatAUserStoppedIsPendingAgain) {
    auto changes = recalled(job(JobState::running, 1), {run(1, RunStatus::stopped, "stopped")});
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0].state, JobState::pending);
    EXPECT_EQ(changes[0].not_before, std::nullopt);
}

TEST(BatchRecallTest, FailureIsRetriedByTheJobsRule) {
    manifest::Retry once{1, {{"", 75}}, std::chrono::seconds(2)};
    auto failed = run(1, RunStatus::failed, "exited");
    failed.exit_code = 75;
    EXPECT_EQ(after_attempt(job(JobState::running, 1, once), failed, kNow, 0).state, JobState::pending);
    failed.exit_code = 1;
    EXPECT_EQ(after_attempt(job(JobState::running, 1, once), failed, kNow, 0).state, JobState::failed);
}

TEST(BatchRecallTest, DamagedRuleRepeatsNothing) {
    auto damaged = job(JobState::running, 1);
    damaged.retry = "{";
    EXPECT_EQ(after_attempt(damaged, run(1, RunStatus::failed, "vm-error"), kNow, 0).state, JobState::failed);
}

}  // namespace
}  // namespace vmette::scheduler
