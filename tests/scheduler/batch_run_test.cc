#include "scheduler/batch_run.h"

#include "batch_fixture.h"

namespace vmette::scheduler {
namespace {

using store::BatchStatus;
using store::JobState;
using store::RunStatus;

struct BatchRunTest : BatchFixture {
    MadeUpAttempts attempts() { return {store, clock, batch.id}; }
};

const MadeUpEnd kFails{RunStatus::failed, "exited", 1};
const MadeUpEnd kHolds{.holds = true};

TEST_F(BatchRunTest, RunsEveryJobOnceAndSucceeds) {
    for (int i = 0; i < 20; ++i) job("job-" + std::to_string(i));
    make();
    auto run = attempts();
    auto outcome = drive(run);
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->status, BatchStatus::succeeded);
    EXPECT_EQ(outcome->counts.succeeded, 20U);
    EXPECT_EQ(run.started.size(), 20U);
    EXPECT_EQ(batch_exit_code(*outcome), 0);
    auto found = batches.find(batch.id);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->status, BatchStatus::succeeded);
    EXPECT_EQ(found->owner.pid, 0);
    EXPECT_EQ(batches.counts(batch.id)->succeeded, 20U);
}

TEST_F(BatchRunTest, NeverMoreAtOnceThanThePoolHas) {
    for (int i = 0; i < 40; ++i) job("job-" + std::to_string(i));
    rules.pool.vms = 3;
    make();
    auto run = attempts();
    ASSERT_TRUE(drive(run));
    EXPECT_EQ(run.most_at_once, 3U);
}

TEST_F(BatchRunTest, MemoryBoundsWhatRunsAtOnce) {
    for (int i = 0; i < 10; ++i) job("job-" + std::to_string(i)).memory_mib = 1024;
    make();
    rules.pool.memory_bytes = 2 * (1024 + kMachineOverheadMib) * kMiB + kMiB;
    batch.rules = to_json(rules);
    auto run = attempts();
    ASSERT_TRUE(drive(run));
    EXPECT_EQ(run.most_at_once, 2U);
    EXPECT_EQ(run.started.size(), 10U);
}

TEST_F(BatchRunTest, FailedJobSkipsItsDependentsAndSaysWhy) {
    job("build");
    job("test", "0");
    job("other");
    make();
    auto run = attempts();
    run.script = [](const std::string& name, std::uint32_t) { return name == "build" ? kFails : MadeUpEnd{}; };
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, BatchStatus::failed);
    EXPECT_EQ(batch_exit_code(*outcome), 1);
    EXPECT_EQ(stored("build").state, JobState::failed);
    EXPECT_EQ(stored("build").exit_code, 1);
    EXPECT_EQ(stored("test").state, JobState::skipped);
    EXPECT_EQ(stored("test").detail, "needs build, which did not succeed");
    EXPECT_EQ(stored("other").state, JobState::succeeded);
}

TEST_F(BatchRunTest, FailedAttemptIsTriedAgainAsItsRuleSays) {
    manifest::Retry twice{2, {{"exited", {}}}, std::chrono::milliseconds(2)};
    job("flaky").retry = to_json(twice);
    job("hopeless").retry = to_json(twice);
    make();
    auto run = attempts();
    run.script = [](const std::string& name, std::uint32_t attempt) {
        return name == "flaky" && attempt == 3 ? MadeUpEnd{} : kFails;
    };
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(stored("flaky").state, JobState::succeeded);
    EXPECT_EQ(stored("flaky").attempts, 3U);
    EXPECT_EQ(stored("hopeless").state, JobState::failed);
    EXPECT_EQ(stored("hopeless").attempts, 3U);
    EXPECT_EQ(batches.attempts(batch.id)->size(), 6U);
}

/// The host's own clock, whose wall time can be set.
struct SetClock final : Clock {
    WallTime now() const override { return real.now() + offset; }
    MonotonicTime monotonic() const override { return real.monotonic(); }
    SystemClock real;
    std::chrono::hours offset{0};
};

TEST_F(BatchRunTest, ClockThatIsSetMovesNoWaitAndNoDeadline) {
    constexpr std::chrono::hours kTenYears{10 * 365 * 24};
    manifest::Retry often{6, {{"exited", {}}}, std::chrono::milliseconds(2)};
    job("flaky").retry = to_json(often);
    rules.deadline = std::chrono::minutes(10);
    make();
    SetClock wall;
    MadeUpAttempts run(store, wall, batch.id);
    run.script = [&](const std::string&, std::uint32_t attempt) {
        wall.offset = attempt % 2 == 0 ? kTenYears : -kTenYears;
        return attempt == 6 ? MadeUpEnd{} : kFails;
    };
    BatchHost host{layout, wall, store, run, stop, observer, {64 * 1024, 8}, {}, [] { return 0.0; }};
    auto outcome = drive_batch(host, batch);
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->status, BatchStatus::succeeded);
    EXPECT_EQ(stored("flaky").attempts, 6U);
}

TEST_F(BatchRunTest, FailFastCancelsTheRestAndStopsWhatRuns) {
    job("holds");
    job("fails");
    job("later");
    rules.fail_fast = true;
    rules.pool.vms = 2;
    make();
    auto run = attempts();
    run.script = [](const std::string& name, std::uint32_t) { return name == "fails" ? kFails : kHolds; };
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, BatchStatus::failed);
    EXPECT_EQ(stored("holds").state, JobState::cancelled);
    EXPECT_EQ(stored("later").state, JobState::cancelled);
    EXPECT_EQ(run.started.size(), 2U);
}

TEST_F(BatchRunTest, AfterTooManyFailuresNothingNewIsStarted) {
    for (int i = 0; i < 10; ++i) job("job-" + std::to_string(i));
    rules.max_failures = 2;
    rules.pool.vms = 1;
    make();
    auto run = attempts();
    run.script = [](const std::string&, std::uint32_t) { return kFails; };
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->counts.failed, 2U);
    EXPECT_EQ(outcome->counts.cancelled, 8U);
}

TEST_F(BatchRunTest, DeadlineEndsIt) {
    job("holds");
    job("later");
    rules.deadline = std::chrono::milliseconds(50);
    rules.pool.vms = 1;
    make();
    auto run = attempts();
    run.script = [](const std::string&, std::uint32_t) { return kHolds; };
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->counts.cancelled, 2U);
    EXPECT_EQ(outcome->status, BatchStatus::failed);
}

TEST_F(BatchRunTest, InterruptedBatchKeepsWhatIsLeftAndIsResumed) {
    job("first");
    job("second");
    job("third", "1");
    rules.pool.vms = 1;
    make();
    auto run = attempts();
    run.script = [](const std::string& name, std::uint32_t) { return name == "second" ? kHolds : MadeUpEnd{}; };
    observer.on = [this](const BatchEvent& event) {
        if (event.kind == BatchEvent::Kind::job_started && event.name == "second") stop.request(SIGTERM);
    };
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, BatchStatus::interrupted);
    EXPECT_EQ(batch_exit_code(*outcome), 130);
    EXPECT_EQ(stored("first").state, JobState::succeeded);
    EXPECT_EQ(stored("second").state, JobState::pending);
    EXPECT_EQ(stored("third").state, JobState::pending);

    observer.on = {};
    auto taken = batches.take(batch.id, own_identity(), is_alive);
    ASSERT_TRUE(taken) << taken.error().text();
    auto again = attempts();
    auto resumed = drive_batch(host(again), *taken);
    ASSERT_TRUE(resumed) << resumed.error().text();
    EXPECT_EQ(resumed->status, BatchStatus::succeeded);
    EXPECT_EQ(again.started, (std::vector<std::string>{"second", "third"}));
    EXPECT_EQ(stored("second").attempts, 2U);
}

TEST_F(BatchRunTest, FirstInterruptLetsWhatRunsFinish) {
    job("runs");
    job("later");
    rules.pool.vms = 1;
    make();
    auto run = attempts();
    observer.on = [this](const BatchEvent& event) {
        if (event.kind == BatchEvent::Kind::job_started) stop.request(SIGINT);
    };
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(stored("runs").state, JobState::succeeded);
    EXPECT_EQ(stored("later").state, JobState::pending);
    EXPECT_TRUE(run.stops.empty());
}

TEST_F(BatchRunTest, JobIsCancelledFromAnotherTerminal) {
    job("holds");
    job("needs-it", "0");
    job("waits").priority = -1;
    rules.pool.vms = 1;
    make();
    auto run = attempts();
    run.script = [](const std::string& name, std::uint32_t) { return name == "holds" ? kHolds : MadeUpEnd{}; };
    ASSERT_TRUE(batches.request_cancel(batch.id, 0));
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(stored("holds").state, JobState::cancelled);
    EXPECT_EQ(stored("needs-it").state, JobState::skipped);
    EXPECT_EQ(stored("needs-it").detail, "needs holds, which was cancelled");
    EXPECT_EQ(stored("waits").state, JobState::succeeded);
}

TEST_F(BatchRunTest, CancelledBatchEnds) {
    for (int i = 0; i < 5; ++i) job("job-" + std::to_string(i));
    make();
    auto run = attempts();
    run.script = [](const std::string&, std::uint32_t) { return kHolds; };
    ASSERT_TRUE(batches.request_cancel(batch.id, std::nullopt));
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, BatchStatus::cancelled);
    EXPECT_EQ(outcome->counts.cancelled, 5U);
}

TEST_F(BatchRunTest, QueueThatAnotherProcessTookOverEndsTheDriveWithoutStartingMore) {
    job("first");
    job("later", "0");
    make();
    auto run = attempts();
    observer.on = [this](const BatchEvent& event) {
        if (event.kind != BatchEvent::Kind::job_started) return;
        ProcessIdentity other = own_identity();
        other.pid += 1;
        auto taken = batches.take(batch.id, other, [](const ProcessIdentity&) { return false; });
        ASSERT_TRUE(taken) << taken.error().text();
    };
    auto outcome = drive(run);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, ErrorCode::busy);
    EXPECT_EQ(run.started, std::vector<std::string>{"first"});
    // Nothing was written into what is another's now; the run of the first is in the history for its recall.
    EXPECT_EQ(stored("first").state, JobState::running);
    EXPECT_EQ(batches.attempts(batch.id)->front().status, RunStatus::succeeded);
}

TEST_F(BatchRunTest, SharedPoolIsNeverExceededAndIsGivenBack) {
    for (int i = 0; i < 6; ++i) job("job-" + std::to_string(i));
    rules.pool.vms = 2;
    rules.pool.shared = true;
    make();
    // Another living process holds one of the two.
    auto held = batches.claim(own_identity(), {1, 1, 1}, {2, 0, 0}, is_alive);
    ASSERT_TRUE(held && *held);
    auto run = attempts();
    auto outcome = drive(run);
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->status, BatchStatus::succeeded);
    EXPECT_EQ(run.most_at_once, 1U);
    auto free = batches.claim(own_identity(), {1, 1, 1}, {2, 0, 0}, is_alive);
    EXPECT_TRUE(free && *free);
}

TEST_F(BatchRunTest, DamagedRulesAreAnErrorBeforeAnythingRuns) {
    job("one");
    make();
    batch.rules = "{";
    auto run = attempts();
    auto outcome = drive(run);
    ASSERT_FALSE(outcome);
    EXPECT_TRUE(outcome.error().message.starts_with("the stored rules of the batch are damaged: "));
    EXPECT_TRUE(run.started.empty());
}

}  // namespace
}  // namespace vmette::scheduler
