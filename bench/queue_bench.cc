/// The queue of a batch: how fast its jobs' states reach the disk. The driver is the real one, with machines that end
/// as soon as they are started, so it writes as much at once as it would with that many machines; beside it the same
/// changes with a commit of its own for each. Every end is durable (synced) when it is written, either way.
///
/// `queue_bench [JOBS]`, 20,000 when not said, for the way in and out; the files go under $TMPDIR, which should be a
/// real disk.

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "base/digest.h"
#include "base/layout.h"
#include "bench.h"
#include "scheduler/batch_run.h"

namespace vmette::scheduler {
namespace {

using bench::die;
using bench::require;
using bench::value_of;

/// Every attempt has ended when it is asked for. Nothing is written of the runs: only the queue is measured.
class InstantAttempts final : public Attempts {
public:
    InstantAttempts() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

    void start(AttemptOrder order) override {
        // What a driver hears of a machine that came up; it lets more of them run at once then.
        events_.push_back({.job = order.job, .kind = AttemptEvent::Kind::phase, .text = "exec"});
        AttemptEvent end{.job = order.job, .kind = AttemptEvent::Kind::ended};
        end.record.id = order.run_id;
        end.record.attempt = order.attempt;
        end.record.status = store::RunStatus::succeeded;
        end.record.reason = "exited";
        end.record.exit_code = 0;
        events_.push_back(std::move(end));
        std::uint64_t one = 1;
        [[maybe_unused]] auto written = ::write(wake_.get(), &one, sizeof one);
    }
    void stop(std::uint32_t, int) override {}
    int fd() const override { return wake_.get(); }
    std::vector<AttemptEvent> take() override {
        std::uint64_t count = 0;
        [[maybe_unused]] auto drained = ::read(wake_.get(), &count, sizeof count);
        return std::exchange(events_, {});
    }

private:
    Fd wake_;
    std::vector<AttemptEvent> events_;
};

struct Silence final : BatchObserver {
    void on_event(const BatchEvent&) override {}
    void on_tick() override {}
};

constexpr int kRounds = 7;
/// Of a batch for each machine; enough for a hundred syncs.
constexpr std::uint32_t kFewJobs = 100;

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

/// Wall time in seconds.
template <typename Work>
double seconds(Work&& work) {
    auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// As a manifest of a job is: some lines are its own.
std::string manifest_of(std::uint32_t job) {
    std::string text =
        fmt::format("schema = 1\nname = \"job-{0}\"\nexec = [\"python3\", \"evaluate.py\", \"{0}\"]\n", job);
    for (int line = 0; line < 40; ++line) text += fmt::format("key_{} = \"what all jobs have in common\"\n", line);
    return text;
}

class Bench {
public:
    explicit Bench(std::uint32_t jobs) : jobs_(jobs) { require(make_private_dir(layout_.state)); }

    void run() {
        std::string id;
        double in = seconds([&] { id = write(jobs_).id; }), out = seconds([&] { value_of(batches_.jobs(id)); });
        std::printf("%u jobs: %.0f jobs/s into the queue (%.2f s with its lock), %.0f jobs/s out of it\n", jobs_,
                    jobs_ / in, locked_, jobs_ / out);
        auto bytes = std::filesystem::file_size(layout_.database());
        std::printf("%.0f bytes a job on the disk; its manifest alone has %zu\n", static_cast<double>(bytes) / jobs_,
                    manifest_of(jobs_).size());
        compare();
    }

    /// In turn, so that a disk that grows slower or faster meanwhile does so for all of them.
    void compare() {
        constexpr std::uint32_t kMachines[] = {1, 8, 64, 256};
        std::vector<double> alone;
        std::map<std::uint32_t, std::vector<double>> driven_by;
        for (int round = 0; round < kRounds; ++round) {
            alone.push_back(each_alone(write(kFewJobs)));
            for (auto machines : kMachines) driven_by[machines].push_back(driven(write(kFewJobs * machines), machines));
        }
        double alternative = median(alone);
        std::printf("%-28s %12s %12s\n", "", "changes/s", "ratio");
        std::printf("%-28s %12.0f %11.1fx\n", "a commit for each change", alternative, 1.0);
        for (auto machines : kMachines) {
            double ours = median(driven_by[machines]);
            std::printf("driver with %3u machines     %12.0f %11.1fx\n", machines, ours, ours / alternative);
        }
    }

private:
    store::BatchRecord write(std::uint32_t jobs) {
        store::BatchRecord batch;
        batch.id = make_ulid(clock_.now().time_since_epoch().count());
        batch.name = rules_.name = "bench";
        batch.groups = {"job-{n}"};
        batch.jobs = jobs;
        batch.owner = own_identity();
        auto writer = value_of(batches_.create(batch.id));
        for (std::uint32_t i = 0; i < jobs; ++i) {
            store::JobRecord job{.index = i, .name = fmt::format("job-{}", i)};
            job.memory_mib = 512;
            job.vcpus = 1;
            require(writer.add(job, manifest_of(i)));
        }
        locked_ = seconds([&] { require(writer.commit(batch)); });
        return batch;
    }

    /// The same changes as the driver's, each as soon as it is known. Changes a second.
    double each_alone(const store::BatchRecord& batch) {
        auto self = own_identity();
        double time = seconds([&] {
            for (std::uint32_t i = 0; i < batch.jobs; ++i) {
                store::JobChange begin{.index = i, .state = store::JobState::running, .attempts = 1};
                begin.run_id = make_ulid(clock_.now().time_since_epoch().count());
                begin.at = clock_.now();
                require(batches_.apply(batch.id, self, {&begin, 1}, false));
                store::JobChange end = begin;
                end.state = store::JobState::succeeded;
                end.reason = "exited";
                end.exit_code = 0;
                require(batches_.apply(batch.id, self, {&end, 1}, true));
            }
        });
        return 2.0 * batch.jobs / time;
    }

    double driven(store::BatchRecord batch, std::uint32_t machines) {
        rules_.pool.vms = machines;
        rules_.pool.memory_bytes = 1024 * kGiB;
        batch.rules = to_json(rules_);
        InstantAttempts attempts;
        auto stop = value_of(StopRequests::open());
        Silence silence;
        BatchHost host{layout_, clock_, store_, attempts, stop, silence, {1 << 20, 256}, {}, [] { return 0.0; }};
        double time = seconds([&] {
            auto outcome = value_of(drive_batch(host, batch));
            if (outcome.counts.succeeded != batch.jobs) die("not every job succeeded");
        });
        return 2.0 * batch.jobs / time;
    }

    std::uint32_t jobs_;
    TempDir folder_ = value_of(TempDir::make());
    Layout layout_{folder_.path() / "c", folder_.path() / "s", folder_.path() / "r", folder_.path() / "g"};
    SystemClock clock_;
    store::Store store_ = value_of(store::Store::open(layout_.database(), clock_));
    store::Batches batches_{store_};
    manifest::BatchRules rules_;
    double locked_ = 0;  ///< seconds of the last batch's commit
};

}  // namespace
}  // namespace vmette::scheduler

int main(int argc, char** argv) {
    long long jobs = argc > 1 ? std::atoll(argv[1]) : 20'000;
    if (jobs < 1 || jobs > 10'000'000) {
        std::fprintf(stderr, "usage: queue_bench [JOBS]\n");
        return 2;
    }
    vmette::scheduler::Bench(static_cast<std::uint32_t>(jobs)).run();
}
