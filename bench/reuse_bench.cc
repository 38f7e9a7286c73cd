/// A batch whose jobs all take the result of an earlier run (`cache = true`): how many a second, from the queue to the
/// written end. Driver and attempts are the real ones; each job's share is one folder that all have in common. Beside
/// it the same question with nothing remembered of the folder: what reading it for every job would cost.
///
/// `reuse_bench [JOBS] [FILES]`, 1,000 and 200 when not said; the files go under $TMPDIR, which should be a real disk.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/digest.h"
#include "base/layout.h"
#include "bench.h"
#include "manifest/load.h"
#include "scheduler/batch_run.h"
#include "scheduler/machine_attempts.h"

namespace vmette::scheduler {
namespace {

using bench::die;
using bench::require;
using bench::value_of;

/// Wall time in seconds.
template <typename Work>
double seconds(Work&& work) {
    auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

struct Silence final : BatchObserver {
    void on_event(const BatchEvent&) override {}
    void on_tick() override {}
};

constexpr std::size_t kFileBytes = 16 * 1024;
/// Of the jobs, with nothing remembered.
constexpr std::uint32_t kAlone = 200;

class Bench {
public:
    Bench(std::uint32_t jobs, std::uint32_t files) : jobs_(jobs) {
        require(make_private_dir(layout_.state));
        for (const char* name : {"root", "share"}) std::filesystem::create_directory(path(name));
        for (const char* name : {"kernel", "initramfs"}) std::ofstream(path(name)) << name;
        std::string text(kFileBytes, 'x');
        for (std::uint32_t i = 0; i < files; ++i) std::ofstream(path("share") / std::to_string(i)) << i << text;
    }

    void run() {
        auto earlier = write_batch();
        double stored = seconds([&] { store_successes(earlier.id); });
        std::printf("%u successes stored: %.0f/s\n", jobs_, jobs_ / stored);
        auto batch = write_batch();
        double alone = kAlone / seconds([&] { ask_alone(batch.id); });
        // The files are older then than a clock's grain, as those of a second batch are.
        for (std::uint32_t machines : {1U, 8U, 64U}) {
            double ours = jobs_ / seconds([&] { drive(write_batch(), machines); });
            std::printf("%2u at once: %6.0f jobs/s, %5.0f us a job; %5.1fx a reading of the folder for each\n",
                        machines, ours, 1e6 / ours, ours / alone);
        }
        std::printf("a reading for each, one after another: %.0f jobs/s\n", alone);
    }

private:
    std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

    manifest::Sandbox sandbox(std::uint32_t job) const {
        manifest::Sandbox out;
        out.name = fmt::format("job-{}", job);
        out.exec = manifest::Argv{{"python3", "evaluate.py", std::to_string(job)}};
        out.rootfs.source = path("root");
        out.vm.kernel = path("kernel");
        out.vm.initramfs = path("initramfs");
        out.shares.push_back({"src", path("share"), "/src", manifest::ShareMode::ro});
        return out;
    }

    store::BatchRecord write_batch() {
        store::BatchRecord batch;
        batch.id = make_ulid(clock_.now().time_since_epoch().count());
        batch.name = rules_.name = "bench";
        batch.groups = {"job-{n}"};
        batch.jobs = jobs_;
        batch.owner = own_identity();
        auto writer = value_of(batches_.create(batch.id));
        for (std::uint32_t i = 0; i < jobs_; ++i) {
            store::JobRecord job{.index = i, .name = fmt::format("job-{}", i)};
            job.cache = true;
            job.memory_mib = 512;
            job.vcpus = 1;
            require(writer.add(job, manifest::to_toml(sandbox(i))));
        }
        require(writer.commit(batch));
        return batch;
    }

    std::unique_ptr<ResultCache> cache(const std::string& batch_id, bool reuse = true) {
        return std::make_unique<ResultCache>(ResultCache::Setting{layout_, clock_, providers_,
                                                                  [](const std::string&) { return std::nullopt; },
                                                                  batch_id, "bench", true, reuse});
    }

    AttemptOrder order(std::uint32_t job) const { return {job, 1, fmt::format("job-{}", job), "", true}; }

    /// As if each job had run.
    void store_successes(const std::string& batch_id) {
        auto own = cache(batch_id, false);
        // One folder of logs stands for all: a file system's way with ten thousand of them is not measured here.
        auto kept = layout_.run_dir("logs");
        require(make_private_dir(kept));
        for (const char* name : {"stdout.log", "stderr.log"}) std::ofstream(kept / name).close();
        for (std::uint32_t i = 0; i < jobs_; ++i) {
            auto answer = own->ask(store_, sandbox(i), order(i), stop_);
            store::RunRecord run;
            run.id = make_ulid(clock_.now().time_since_epoch().count());
            run.name = run.job = order(i).name;
            run.batch = batch_id;
            run.created_at = clock_.now();
            run.status = store::RunStatus::succeeded;
            run.reason = "exited";
            run.exit_code = 0;
            run.log_stdout = kept / "stdout.log";
            run.log_stderr = kept / "stderr.log";
            require(store_.insert_run(run));
            auto problem = own->keep(store_, sandbox(i), order(i), answer, run, stop_);
            if (!problem.empty()) die(problem);
        }
    }

    void ask_alone(const std::string& batch_id) {
        for (std::uint32_t i = 0; i < kAlone; ++i)
            if (!cache(batch_id)->ask(store_, sandbox(i % jobs_), order(i % jobs_), stop_).stored) die("a miss");
    }

    void drive(store::BatchRecord batch, std::uint32_t machines) {
        rules_.pool.vms = machines;
        rules_.pool.memory_bytes = 1024 * kGiB;
        batch.rules = to_json(rules_);
        AttemptSetting setting{layout_, clock_, providers_, batch.id, "bench"};
        auto attempts = value_of(MachineAttempts::make(setting));
        Silence silence;
        BatchHost host{layout_, clock_, store_, *attempts, stop_, silence, {1 << 20, 256}, {}, [] { return 0.0; }};
        auto outcome = value_of(drive_batch(host, batch));
        if (outcome.reused != batch.jobs) die("not every result was reused");
    }

    std::uint32_t jobs_;
    TempDir folder_ = value_of(TempDir::make());
    Layout layout_{folder_.path() / "c", folder_.path() / "s", folder_.path() / "r", folder_.path() / "g"};
    SystemClock clock_;
    store::Store store_ = value_of(store::Store::open(layout_.database(), clock_));
    store::Batches batches_{store_};
    rootfs::Registry providers_ = rootfs::Registry::with_builtin();
    StopRequests stop_ = value_of(StopRequests::open());
    manifest::BatchRules rules_;
};

}  // namespace
}  // namespace vmette::scheduler

int main(int argc, char** argv) {
    long long jobs = argc > 1 ? std::atoll(argv[1]) : 1'000, files = argc > 2 ? std::atoll(argv[2]) : 200;
    if (jobs < 1 || jobs > 1'000'000 || files < 0 || files > 1'000'000) {
        std::fprintf(stderr, "usage: reuse_bench [JOBS] [FILES]\n");
        return 2;
    }
    vmette::scheduler::Bench(static_cast<std::uint32_t>(jobs), static_cast<std::uint32_t>(files)).run();
}
