#include "scheduler/explain.h"

#include "scheduler/batch_fixture.h"

namespace vmette::scheduler {
namespace {

struct ExplainTest : BatchFixture {
    std::unique_ptr<MadeUpAttempts> attempts;
    void drive_all() {
        attempts = std::make_unique<MadeUpAttempts>(store, clock, batch.id);
        attempts->script = [](const std::string& name, std::uint32_t) {
            if (name == "bad") return MadeUpEnd{store::RunStatus::failed, "exited", 3};
            return MadeUpEnd{};
        };
        auto outcome = drive(*attempts);
        ASSERT_TRUE(outcome) << outcome.error().text();
    }
    JobExplanation explain(const std::string& name) {
        auto current = batches.find(batch.id);
        EXPECT_TRUE(current);
        auto found = explain_job(store, *current, name);
        EXPECT_TRUE(found) << found.error().text();
        return *found;
    }
};

TEST_F(ExplainTest, JobWithoutCacheJustRan) {
    job("good");
    make();
    drive_all();
    auto known = explain("good");
    EXPECT_EQ(known.why, "it ran because it does not say cache = true: no stored success was looked for");
    ASSERT_EQ(known.attempts.size(), 1U);
    EXPECT_EQ(known.attempts[0].exit_code, 0);
    EXPECT_FALSE(known.decision);
}

TEST_F(ExplainTest, SkippedJobNamesWhatItNeeded) {
    job("bad");
    job("after", "0");
    make();
    drive_all();
    EXPECT_EQ(explain("after").why, "it was skipped: needs bad, which did not succeed");
    EXPECT_TRUE(explain("after").attempts.empty());
    EXPECT_EQ(explain("bad").attempts.at(0).exit_code, 3);
}

TEST_F(ExplainTest, WaitingJobNamesWhatItWaitsFor) {
    job("first");
    job("second", "0");
    job("third", "0 g1");
    jobs[1].group = 1;
    batch.groups = {"first", "second"};
    make();
    store::BatchRecord made = batch;
    auto known = explain_job(store, made, "third");
    ASSERT_TRUE(known);
    EXPECT_EQ(known->why, "it waits for jobs that it needs");
    EXPECT_EQ(known->awaits, (std::vector<Awaited>{{"first"}, {"second"}}));
    EXPECT_EQ(explain("first").why, "it waits for room in the pool") << "this process drives it";
    made.owner = {};
    EXPECT_EQ(explain_job(store, made, "first")->why, "nobody drives the batch: `vmette batch resume` goes on with it");
}

TEST_F(ExplainTest, UnknownJobComesWithTheNearest) {
    job("lint");
    job("build");
    make();
    auto none = explain_job(store, batch, "lnit");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::not_found);
    EXPECT_EQ(none.error().text(), fmt::format("batch {} has no job lnit (did you mean lint?)", batch.id));
    EXPECT_EQ(explain_job(store, batch, "\x1b[2J").error().text(),
              fmt::format("batch {} has no job \\x1b[2J", batch.id));
}

TEST_F(ExplainTest, DecisionIsTold) {
    job("lint").cache = true;
    make();
    drive_all();
    EXPECT_EQ(explain("lint").why, "it ran; why no stored success would do was not written down");
    CacheDecision decision{.cause = CacheDecision::Cause::gone, .run_id = "01x", .note = "its logs are not there"};
    ASSERT_TRUE(batches.put_cache_decision(batch.id, 0, to_json(decision)));
    EXPECT_EQ(explain("lint").why,
              "it ran because run 01x, which would have done, is not whole: its logs are not there");
    EXPECT_FALSE(explain("lint").stored);
    ASSERT_TRUE(batches.put_cache_decision(batch.id, 0, "damaged"));
    EXPECT_EQ(explain("lint").why, "it ran; why no stored success would do was not written down");
}

/// Ends every attempt with the result of a run that is there already.
class Reusing final : public Attempts {
public:
    explicit Reusing(store::RunRecord run) : run_(std::move(run)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
    void start(AttemptOrder order) override {
        events_.push_back({.job = order.job, .kind = AttemptEvent::Kind::ended, .record = run_, .reused = true});
        std::uint64_t one = 1;
        [[maybe_unused]] auto n = ::write(wake_.get(), &one, sizeof one);
    }
    void stop(std::uint32_t, int) override {}
    int fd() const override { return wake_.get(); }
    std::vector<AttemptEvent> take() override { return std::exchange(events_, {}); }

private:
    store::RunRecord run_;
    Fd wake_;
    std::vector<AttemptEvent> events_;
};

TEST_F(ExplainTest, ReusedResultIsTheJobs) {
    job("lint").cache = true;
    job("after", "0");
    make();
    store::RunRecord run;
    run.id = "01old";
    run.job = "lint";
    run.batch = "01batch";
    run.attempt = 4;
    run.status = store::RunStatus::succeeded;
    run.reason = "exited";
    run.exit_code = 0;
    run.created_at = run.finished_at.emplace(std::chrono::milliseconds(1000));
    ASSERT_TRUE(store.insert_run(run));
    Reusing reusing(run);
    auto outcome = drive(reusing);
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_EQ(outcome->status, store::BatchStatus::succeeded);
    EXPECT_EQ(outcome->reused, 2U);
    auto row = stored("lint");
    EXPECT_TRUE(row.reused);
    EXPECT_EQ(row.run_id, "01old");
    EXPECT_EQ(row.attempts, 1U);
    EXPECT_GE(*row.finished_at, *row.started_at) << "it ended now, not when that run did";
    auto known = explain("lint");
    EXPECT_EQ(known.why, "it did not run: the result of run 01old was reused");
    ASSERT_TRUE(known.stored);
    EXPECT_EQ(known.stored->batch, "01batch");
    bool told = false;
    for (const auto& event : observer.events)
        if (event.kind == BatchEvent::Kind::job_ended && event.name == "lint")
            told = event.reused && event.run_id == "01old" && event.attempt == 1;
    EXPECT_TRUE(told);
    // Run again with another end, it is that run's.
    auto taken = batches.take(batch.id, own_identity(), is_alive);
    ASSERT_TRUE(taken);
    store::JobChange again{.index = 0, .attempts = 1, .run_id = "01old"};
    ASSERT_TRUE(batches.apply(batch.id, own_identity(), {&again, 1}, false));
    drive_all();
    EXPECT_FALSE(stored("lint").reused);
    EXPECT_NE(stored("lint").run_id, "01old");
}

}  // namespace
}  // namespace vmette::scheduler
