#pragma once
/// A batch on a real queue whose attempts end as a test says, without machines.

#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/layout.h"
#include "scheduler/batch_run.h"
#include "scheduler/retry.h"

namespace vmette::scheduler {

/// How a made-up attempt ends.
struct MadeUpEnd {
    store::RunStatus status = store::RunStatus::succeeded;
    std::string reason = "exited";
    std::optional<int> exit_code = 0;
    bool holds = false;  ///< only when it is stopped
};

/// Ends attempts as it is told, in the order they were begun, and writes their runs as the real one does.
class MadeUpAttempts final : public Attempts {
public:
    using Script = std::function<MadeUpEnd(const std::string& job, std::uint32_t attempt)>;

    MadeUpAttempts(store::Store& store, const Clock& clock, std::string batch_id)
        : store_(store),
          clock_(clock),
          batch_id_(std::move(batch_id)),
          wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    void start(AttemptOrder order) override {
        started.push_back(order.name);
        store::RunRecord run;
        run.id = order.run_id;
        run.name = order.name;
        run.batch = batch_id_;
        run.job = order.name;
        run.attempt = order.attempt;
        run.created_at = clock_.now();
        run.owner = own_identity();
        EXPECT_TRUE(store_.insert_run(run));
        auto end = script(order.name, order.attempt);
        live_[order.job] = run;
        most_at_once = std::max(most_at_once, live_.size());
        if (!end.holds) finish(order.job, end);
        wake();
    }
    void stop(std::uint32_t job, int signal) override {
        stops.push_back(signal);
        if (live_.contains(job)) finish(job, {store::RunStatus::stopped, "stopped", std::nullopt});
        wake();
    }
    int fd() const override { return wake_.get(); }
    /// One at a time, so that what runs at once is counted.
    std::vector<AttemptEvent> take() override {
        std::uint64_t count = 0;
        [[maybe_unused]] auto n = ::read(wake_.get(), &count, sizeof count);
        if (ended_.empty()) return {};
        auto event = std::move(ended_.front());
        ended_.erase(ended_.begin());
        live_.erase(event.job);
        if (!ended_.empty()) wake();
        return {std::move(event)};
    }

    Script script = [](const std::string&, std::uint32_t) { return MadeUpEnd{}; };
    std::vector<std::string> started;
    std::vector<int> stops;
    std::size_t most_at_once = 0;

private:
    void wake() {
        std::uint64_t one = 1;
        [[maybe_unused]] auto n = ::write(wake_.get(), &one, sizeof one);
    }
    void finish(std::uint32_t job, const MadeUpEnd& end) {
        for (const auto& event : ended_)
            if (event.job == job) return;
        auto& run = live_[job];
        run.status = end.status;
        run.reason = end.reason;
        run.exit_code = end.exit_code;
        run.finished_at = clock_.now();
        EXPECT_TRUE(store_.update_run(run));
        ended_.push_back({.job = job, .kind = AttemptEvent::Kind::ended, .record = run});
    }

    store::Store& store_;
    const Clock& clock_;
    std::string batch_id_;
    Fd wake_;
    std::map<std::uint32_t, store::RunRecord> live_;
    std::vector<AttemptEvent> ended_;
};

/// Keeps every event.
struct KeptEvents final : BatchObserver {
    void on_event(const BatchEvent& event) override {
        events.push_back(event);
        if (on) on(event);
    }
    void on_tick() override {}
    std::vector<BatchEvent> events;
    std::function<void(const BatchEvent&)> on;
};

struct BatchFixture : testing::Test {
    TempDir folder = *TempDir::make();
    Layout layout{folder.path() / "cache", folder.path() / "state", folder.path() / "run", folder.path() / "config"};
    SystemClock clock;
    store::Store store = [this] {
        EXPECT_TRUE(make_private_dir(layout.state));
        return *store::Store::open(layout.database(), clock);
    }();
    store::Batches batches{store};
    store::BatchRecord batch;
    manifest::BatchRules rules;
    std::vector<store::JobRecord> jobs;
    KeptEvents observer;
    StopRequests stop = *StopRequests::open();

    /// Adds a job to the batch that make() writes.
    store::JobRecord& job(const std::string& name, const std::string& needs = "") {
        auto& out = jobs.emplace_back();
        out.index = static_cast<std::uint32_t>(jobs.size() - 1);
        out.name = name;
        out.needs = needs;
        out.memory_mib = 128;
        out.vcpus = 1;
        return out;
    }
    void make() {
        rules.name = "demo";
        rules.pool.memory_bytes = 64 * kGiB;
        batch.id = make_ulid(clock.now().time_since_epoch().count());
        batch.name = rules.name;
        batch.created_at = clock.now();
        batch.rules = to_json(rules);
        if (batch.groups.empty()) batch.groups = {"demo"};
        batch.jobs = static_cast<std::uint32_t>(jobs.size());
        batch.owner = own_identity();
        auto writer = batches.create(batch.id);
        ASSERT_TRUE(writer) << writer.error().text();
        for (const auto& one : jobs) ASSERT_TRUE(writer->add(one, "rootfs = \"x\"\n"));
        ASSERT_TRUE(writer->commit(batch));
    }
    BatchHost host(Attempts& attempts) {
        return {layout, clock, store, attempts, stop, observer, {64 * 1024, 8}, {}, [] { return 0.0; }};
    }
    Result<BatchOutcome> drive(Attempts& attempts) { return drive_batch(host(attempts), batch); }
    store::JobRecord stored(const std::string& name) {
        auto found = batches.jobs(batch.id, {.name = name});
        EXPECT_TRUE(found && found->size() == 1) << name;
        return found->front();
    }
};

}  // namespace vmette::scheduler
