/// Many guests, with faults at random: machines killed, kernels that panic, the scheduler killed and resumed. At the
/// end every job and every attempt is accounted for.
///
/// VMETTE_SOAK_JOBS: how many jobs (default 60); VMETTE_SOAK_SEED: the faults of an earlier run again.

#include <csignal>
#include <cstdlib>
#include <random>

#include "e2e/batch_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kPanicEvery = 20;

unsigned number_from(const char* variable, unsigned fallback) {
    const char* text = std::getenv(variable);
    return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : fallback;
}

class BatchSoakTest : public BatchTest {
protected:
    std::filesystem::path manifest(unsigned jobs) {
        std::string rows;
        for (unsigned n = 1; n <= jobs; ++n)
            rows += fmt::format("{{\"n\": {}, \"command\": \"{}\", \"tries\": {}}}\n", n,
                                n % kPanicEvery == 0 ? "echo c >/proc/sysrq-trigger; sleep 60" : "true",
                                n % kPanicEvery == 0 ? 1 : 100);
        home().write("soak.jsonl", rows);
        return batch("soak", R"(
[[job]]
name = "job-{{n}}"
from = "soak.jsonl"
exec = "echo job {{n}}; {{!command}}"
retry = { max = "{{tries}}", on = ["vm-error", "lost"], backoff = "0" }
)",
                     3);
    }
    unsigned roll(unsigned from, unsigned to) { return std::uniform_int_distribution<unsigned>(from, to)(random_); }

    /// Kills machines now and then, and the scheduler at last. Its end when it came to it before.
    std::optional<Finished> torment(VmetteProcess& scheduler) {
        auto until = std::chrono::steady_clock::now() + milliseconds(roll(2000, 15000));
        while (std::chrono::steady_clock::now() < until) {
            auto ended = [&] { return descendants(scheduler.pid()).empty() && !is_alive_pid(scheduler.pid()); };
            scheduler.until(ended, milliseconds(roll(100, 1500)));
            std::vector<pid_t> machines;
            for (const auto& process : descendants(scheduler.pid()))
                if (process.name.starts_with("qemu-system")) machines.push_back(process.identity.pid);
            if (machines.empty()) {
                if (!is_alive_pid(scheduler.pid())) return scheduler.finish(seconds(10));
                continue;
            }
            // On a busy host no machine would live long enough for its job.
            if (machines_killed_ >= 10 + 2 * succeeded()) continue;
            ::kill(machines[roll(0, static_cast<unsigned>(machines.size()) - 1)], SIGKILL);
            ++machines_killed_;
        }
        scheduler.signal(SIGKILL);
        auto finished = scheduler.finish(seconds(10));
        if (finished.signal != SIGKILL) return finished;
        ++schedulers_killed_;
        return std::nullopt;
    }
    unsigned succeeded() {
        unsigned count = 0;
        std::error_code missing;
        for (const auto& job : std::filesystem::directory_iterator(results(), missing))
            count += std::filesystem::file_size(job.path() / "stdout.log", missing) + 1 > 1 ? 1 : 0;
        return count;
    }
    static bool is_alive_pid(pid_t pid) { return std::filesystem::exists(fmt::format("/proc/{}/exe", pid)); }

    unsigned seed_ = number_from("VMETTE_SOAK_SEED", std::random_device{}());
    std::mt19937 random_{seed_};
    unsigned machines_killed_ = 0, schedulers_killed_ = 0;
};

TEST_F(BatchSoakTest, EveryJobIsAccountedForWhateverDies) {
    unsigned count = number_from("VMETTE_SOAK_JOBS", 60);
    SCOPED_TRACE(fmt::format("VMETTE_SOAK_SEED={}", seed_));
    auto file = manifest(count);
    std::optional<Finished> end;
    for (std::vector<std::string> words{"batch", "run", file.string()}; !end; words = {"batch", "resume", "soak"}) {
        auto scheduler = home().start(words);
        end = torment(scheduler);
    }
    EXPECT_EQ(end->code, 1) << *end;  // those that panic fail

    auto document = show("soak");
    auto runs = Json::parse(
        home().vmette({"history", "--batch", document["id"].get<std::string>(), "--json", "--limit", "0"}).out);
    std::map<std::string, std::map<std::string, int>> ends;  // of each job: attempts by status
    std::map<std::pair<std::string, int>, int> attempts;
    for (const auto& run : runs) {
        ++ends[run["job"].get<std::string>()][run["status"].get<std::string>()];
        ++attempts[{run["job"].get<std::string>(), run["attempt"].get<int>()}];
    }
    for (const auto& [attempt, times] : attempts) EXPECT_EQ(times, 1) << attempt.first << ", " << attempt.second;
    ASSERT_EQ(document["jobs"].size(), count);
    for (const auto& job : document["jobs"]) {
        auto name = job["name"].get<std::string>();
        SCOPED_TRACE(name);
        auto& of_job = ends[name];
        EXPECT_EQ(of_job["running"], 0);
        if ((job["index"].get<unsigned>() + 1) % kPanicEvery == 0) {
            EXPECT_THAT(job["state"], ::testing::AnyOf("failed", "unknown"));
            EXPECT_EQ(of_job["succeeded"], 0);
            continue;
        }
        EXPECT_EQ(job["state"], "succeeded") << job;
        EXPECT_EQ(of_job["succeeded"], 1);
        EXPECT_EQ(result(name, "stdout.log"), fmt::format("job {}\n", name.substr(4)));
        EXPECT_EQ(Json::parse(result(name, "run.json"))["id"], job["run_id"]);
    }
    EXPECT_THAT(with_environment(home().marker()), IsEmpty());
    EXPECT_THAT(home().leftovers(), IsEmpty());
    std::cout << fmt::format("{} jobs, {} attempts, {} machines and {} schedulers killed\n", count, runs.size(),
                             machines_killed_, schedulers_killed_);
}

}  // namespace
}  // namespace vmette::testing
