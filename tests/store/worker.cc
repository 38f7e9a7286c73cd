#include "store/worker.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <random>

#include "base/digest.h"
#include "store/batches_fixture.h"
#include "store/history.h"
#include "store/sql_query.h"

namespace vmette::store {
namespace {

constexpr uid_t kNobody = 65534;

int failed(const Error& error) {
    std::printf("%s: %s\n", std::string(to_string(error.code)).c_str(), error.text().c_str());
    std::fflush(stdout);
    return 1;
}

Result<> one_run(Store& store, const std::string& id, const std::string& name) {
    RunRecord run = new_run(id, name);
    run.labels["team"] = name;
    VMETTE_CHECK_OK(store.insert_run(run));
    LedgerEntry entry;
    entry.run_id = id;
    entry.path = "/run/" + id;
    VMETTE_TRY(auto owed, store.ledger_add(entry));
    run.started_at = instant(1);
    VMETTE_CHECK_OK(store.update_run(run));
    VMETTE_CHECK_OK(store.put_fact("shared", id));
    VMETTE_CHECK_OK(store.put_image({"sha256:1", "shared-source", "tar", "c", "v", 1, instant(0), instant(0), 0}));
    VMETTE_CHECK_OK(store.touch_image("sha256:1"));
    RunFilter recent;
    recent.limit = 5;
    VMETTE_TRY(auto listed, store.list_runs(recent));
    run.status = RunStatus::succeeded;
    run.finished_at = instant(2);
    VMETTE_CHECK_OK(store.update_run(run));
    VMETTE_CHECK_OK(store.ledger_remove(owed));
    VMETTE_TRY(RunRecord found, store.find_run(id));
    if (found != run) return fail(ErrorCode::internal, "run {} came back changed", id);
    return {};
}

Result<> be_busy(const std::filesystem::path& path, const std::string& number) {
    SystemClock clock;
    for (int i = 0; i < 10; ++i) {
        // Each in a connection of its own, as each `vmette` is.
        VMETTE_TRY(Store store, Store::open(path, clock));
        VMETTE_CHECK_OK(one_run(store, fmt::format("run-{}-{}", number, i), "worker-" + number));
    }
    return {};
}

Result<> insert_endlessly(const std::filesystem::path& path, bool report) {
    SystemClock clock;
    VMETTE_TRY(Store store, Store::open(path, clock));
    while (true) {
        RunRecord run = full_run(make_ulid(clock.now().time_since_epoch().count()));
        VMETTE_CHECK_OK(store.insert_run(run));
        if (report) VMETTE_CHECK_OK(write_all(1, run.id + "\n"));
    }
}

/// Writes runs for so long, each in a connection of its own, and says which.
Result<> write_runs(const std::filesystem::path& path, const std::string& number, std::chrono::seconds time) {
    SystemClock clock;
    auto end = std::chrono::steady_clock::now() + time;
    for (int i = 0; std::chrono::steady_clock::now() < end; ++i) {
        VMETTE_TRY(Store store, Store::open(path, clock));
        std::string id = fmt::format("run-{}-{}", number, i);
        VMETTE_CHECK_OK(one_run(store, id, "worker-" + number));
        VMETTE_CHECK_OK(History(store).index_output(id, "said by worker " + number));
        VMETTE_CHECK_OK(write_all(1, id + "\n"));
    }
    return {};
}

/// Asks all that can be asked, for so long; the history may only grow.
Result<> ask_questions(const std::filesystem::path& path, std::chrono::seconds time) {
    SystemClock clock;
    auto end = std::chrono::steady_clock::now() + time;
    std::int64_t seen = 0;
    while (std::chrono::steady_clock::now() < end) {
        VMETTE_TRY(Store store, Store::open(path, clock));
        RunFilter filter;
        filter.status = RunStatus::succeeded;
        filter.grep = "said by worker";
        VMETTE_TRY(auto found, store.list_runs(filter));
        const std::vector<std::string> by{"status", "label:team"};
        VMETTE_TRY(auto groups, History(store).stats({}, by));
        std::int64_t count = 0;
        VMETTE_TRY(auto answer, run_sql(path, "SELECT count(*) FROM runs", {}, [&](const SqlResult&, auto values) {
                       count = std::get<std::int64_t>(values[0]);
                       return true;
                   }));
        if (count < seen) return fail(ErrorCode::internal, "{} runs, where there were {}", count, seen);
        seen = count;
    }
    return {};
}

Result<> be_cramped(const std::filesystem::path& path, const std::string& bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{std::stoull(bytes), std::stoull(bytes)};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return fail_errno("setrlimit");
    return insert_endlessly(path, false);
}

Result<> be_nobody(const std::filesystem::path& path) {
    if (::setresgid(kNobody, kNobody, kNobody) != 0 || ::setresuid(kNobody, kNobody, kNobody) != 0)
        return fail_errno("become nobody");
    SystemClock clock;
    VMETTE_TRY(Store store, Store::open(path, clock));
    return store.put_fact("k", "v");
}

/// Brings it up to date, when it is not.
Result<> open_once(const std::filesystem::path& path) {
    SystemClock clock;
    VMETTE_CHECK_OK(write_all(1, "."));
    VMETTE_TRY(Store store, Store::open(path, clock));
    return {};
}

Result<> take_batch(const std::filesystem::path& path, const std::string& batch) {
    SystemClock clock;
    VMETTE_TRY(Store store, Store::open(path, clock));
    VMETTE_TRY(auto taken, Batches(store).take(batch, own_identity(), is_alive));
    VMETTE_CHECK_OK(write_all(1, "taken\n"));
    while (true) ::pause();
}

Result<> change_endlessly(const std::filesystem::path& path, const std::string& batch, const std::string& seed) {
    SystemClock clock;
    VMETTE_TRY(Store store, Store::open(path, clock));
    Batches batches(store);
    auto self = own_identity();
    VMETTE_TRY(auto taken, batches.take(batch, self, is_alive));
    VMETTE_TRY(auto jobs, batches.jobs(batch));
    std::minstd_rand random(static_cast<unsigned>(std::stoul(seed)));
    while (true) {
        std::vector<JobChange> changes;
        std::string said;
        for (auto left = 1 + random() % 8; left > 0; --left) {
            auto& job = jobs[random() % jobs.size()];
            JobChange change{.index = job.index, .state = JobState::running, .attempts = ++job.attempts};
            change.run_id = fmt::format("{}-{}", seed, random());
            said += fmt::format("{} {} {} ", job.index, job.attempts, change.run_id);
            changes.push_back(std::move(change));
        }
        VMETTE_CHECK_OK(write_all(1, said + "\n"));
        VMETTE_CHECK_OK(batches.apply(batch, self, changes, random() % 2 == 0));
        VMETTE_CHECK_OK(write_all(1, "done\n"));
    }
}

Result<> create_endlessly(const std::filesystem::path& path, const std::string& number) {
    SystemClock clock;
    VMETTE_TRY(Store store, Store::open(path, clock));
    Batches batches(store);
    for (int i = 0;; ++i) {
        BatchRecord batch = new_batch(fmt::format("{}-{}", number, i), 300);
        VMETTE_CHECK_OK(write_batch(batches, batch));
        VMETTE_CHECK_OK(write_all(1, batch.id + "\n"));
    }
}

}  // namespace

int run_worker(const std::vector<std::string>& arguments) {
    const std::string& mode = arguments.at(0);
    const std::string& path = arguments.at(1);
    Result<> done = fail(ErrorCode::bad_input, "unknown mode {}", mode);
    if (mode == "busy") done = be_busy(path, arguments.at(2));
    if (mode == "endless") done = insert_endlessly(path, true);
    if (mode == "cramped") done = be_cramped(path, arguments.at(2));
    if (mode == "write") done = write_runs(path, arguments.at(2), std::chrono::seconds(std::stoi(arguments.at(3))));
    if (mode == "ask") done = ask_questions(path, std::chrono::seconds(std::stoi(arguments.at(2))));
    if (mode == "open") done = open_once(path);
    if (mode == "nobody") done = be_nobody(path);
    if (mode == "take") done = take_batch(path, arguments.at(2));
    if (mode == "change") done = change_endlessly(path, arguments.at(2), arguments.at(3));
    if (mode == "create") done = create_endlessly(path, arguments.at(2));
    return done ? 0 : failed(done.error());
}

ProcessSpec worker(std::vector<std::string> arguments, int output) {
    ProcessSpec spec;
    spec.argv = {"/proc/self/exe", "--worker"};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.descriptors = {{output, 1}, {output, 2}};
    return spec;
}

}  // namespace vmette::store

int main(int argc, char** argv) {
    if (argc > 1 && std::string(argv[1]) == "--worker")
        return vmette::store::run_worker(std::vector<std::string>(argv + 2, argv + argc));
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
