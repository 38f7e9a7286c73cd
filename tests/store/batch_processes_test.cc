#include <unistd.h>

#include <map>
#include <random>
#include <set>
#include <sstream>

#include "base/fd.h"
#include "store/batches_fixture.h"
#include "store/worker.h"

namespace vmette::store {
namespace {

constexpr std::size_t kMuchOutput = 64 << 20;

class BatchProcessesTest : public StoreTest {
protected:
    /// What a worker says until it is killed, which it is so long after so many bytes: not in step with its words.
    std::string killed_after(std::size_t bytes, Duration later, const std::vector<std::string>& arguments) {
        auto pipe = value_of(make_pipe());
        auto process = value_of(spawn(worker(arguments, pipe[1].get())));
        pipe[1].reset();
        std::string said;
        char buffer[256];
        while (said.size() < bytes) {
            ssize_t n = ::read(pipe[0].get(), buffer, std::min(bytes - said.size(), sizeof buffer));
            if (n <= 0) break;
            said.append(buffer, static_cast<std::size_t>(n));
        }
        EXPECT_EQ(said.size(), bytes) << "it ended by itself: " << said;
        EXPECT_FALSE(process.wait_for(later)) << said;
        process.kill();
        return said + value_of(read_all(pipe[0].get(), kMuchOutput, "the worker"));
    }
    static std::vector<std::string> lines_of(const std::string& said) {
        std::vector<std::string> lines;
        std::istringstream in(said);
        for (std::string line; std::getline(in, line);) lines.push_back(line);
        return lines;
    }
};

TEST_F(BatchProcessesTest, OneOfManyProcessesTakesABatch) {
    auto batch = new_batch("01a", 1);
    batch.owner = {};
    batch.status = BatchStatus::interrupted;
    auto store = value_of(open());
    Batches batches(store);
    ASSERT_OK(write_batch(batches, batch));
    for (int round = 0; round < 5; ++round) {
        struct Contender {
            Process process;
            Fd said;
        };
        std::vector<Contender> contenders(8);
        for (auto& [process, said] : contenders) {
            auto pipe = value_of(make_pipe());
            process = value_of(spawn(worker({"take", path(), "01a"}, pipe[1].get())));
            said = std::move(pipe[0]);
        }
        // All live until every one of them has said what it got. In each round the owner is a process that died.
        std::map<std::string, int> answers;
        pid_t owner = 0;
        for (auto& [process, said] : contenders) {
            char line[256];
            ssize_t n = ::read(said.get(), line, sizeof line);
            ASSERT_GT(n, 0);
            std::string answer(line, static_cast<std::size_t>(n));
            if (answer == "taken\n") owner = process.pid();
            ++answers[answer];
        }
        EXPECT_EQ(answers["taken\n"], 1);
        EXPECT_EQ(answers[fmt::format("busy: batch 01a is driven by process {}\n", owner)], 7);
        EXPECT_EQ(value_of(batches.find("01a")).owner.pid, owner);
        for (auto& contender : contenders) contender.process.kill();
    }
}

/// Of each job: how many attempts were begun, and the last one's run.
using Queue = std::map<std::uint32_t, std::pair<std::uint32_t, std::string>>;

/// `group` as the worker says it: "job attempts run …".
Queue with(Queue queue, const std::string& group) {
    std::istringstream in(group);
    std::uint32_t job = 0, attempts = 0;
    for (std::string run; in >> job >> attempts >> run;) queue[job] = {attempts, run};
    return queue;
}

TEST_F(BatchProcessesTest, HundredKillsLoseAndDoubleNoChange) {
    constexpr std::uint32_t kJobs = 50;
    auto batch = new_batch("01a", kJobs);
    batch.owner = {};
    Queue known;
    for (std::uint32_t i = 0; i < kJobs; ++i) known[i] = {0, ""};
    // With the log in use by somebody else its index stays as the killed one left it; without, it is made anew.
    std::optional<Store> beside = value_of(open());
    {
        Batches batches(*beside);
        ASSERT_OK(write_batch(batches, batch));
    }
    std::mt19937 random(1);
    std::size_t applied = 0, in_flight_applied = 0, in_flight_not = 0;
    for (int round = 1; round <= 100; ++round) {
        SCOPED_TRACE(round);
        auto lines = lines_of(killed_after(1 + random() % 4000, Duration(random() % 4),
                                           {"change", path(), "01a", std::to_string(round)}));
        std::string in_flight;
        for (const auto& line : lines) {
            if (line != "done") {
                in_flight = line;
                continue;
            }
            known = with(std::move(known), in_flight);
            in_flight.clear();
            ++applied;
        }
        Queue found;
        auto store = value_of(open());
        Batches batches(store);
        // As a resume does: once somebody has written, what was in flight is there or is not, for good.
        ASSERT_OK(batches.take("01a", own_identity(), is_alive));
        for (const auto& job : value_of(batches.jobs("01a"))) found[job.index] = {job.attempts, job.run_id};
        ASSERT_OK(batches.release("01a", own_identity(), BatchStatus::interrupted));
        // What was in flight is there as a whole, or not at all.
        bool whole = !in_flight.empty() && found == with(known, in_flight);
        if (!in_flight.empty()) ++(whole ? in_flight_applied : in_flight_not);
        ASSERT_TRUE(whole || found == known);
        known = std::move(found);
        beside.reset();
        if (round % 2 == 0) beside.emplace(std::move(store));
    }
    EXPECT_EQ(value_of(value_of(open()).check()), "");
    EXPECT_GT(applied, 100u);
    std::printf("%zu groups of changes applied; killed within one: %zu times it was there, %zu times not\n", applied,
                in_flight_applied, in_flight_not);
    // Else all the kills hit the same moment.
    EXPECT_GT(in_flight_applied, 0u);
    EXPECT_GT(in_flight_not, 0u);
}

TEST_F(BatchProcessesTest, BatchIsThereWithAllItsJobsOrNotAtAll) {
    std::set<std::string> written;
    std::mt19937 random(2);
    for (int round = 0; round < 20; ++round)
        for (const auto& line : lines_of(killed_after(1 + random() % 40, Duration(random() % 10),
                                                      {"create", path(), "01r" + std::to_string(round)})))
            written.insert(line);
    ASSERT_GE(written.size(), 20u);
    auto store = value_of(open());
    Batches batches(store);
    auto listed = value_of(batches.list(0));
    EXPECT_LE(listed.size(), written.size() + 20);
    for (const auto& batch : listed) {
        written.erase(batch.id);
        EXPECT_EQ(value_of(batches.jobs(batch.id)).size(), 300u) << batch.id;
        EXPECT_EQ(value_of(batches.job_manifest(batch.id, 299)), job_text(299)) << batch.id;
    }
    EXPECT_EQ(written, std::set<std::string>{});
    EXPECT_EQ(value_of(store.check()), "");
}

}  // namespace
}  // namespace vmette::store
