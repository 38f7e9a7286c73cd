/// What a loss of power leaves of the queue: the log that SQLite writes ahead, cut or torn at any byte.

#include <algorithm>
#include <fstream>
#include <random>

#include "base/fd.h"
#include "store/batches_fixture.h"

namespace vmette::store {
namespace {

constexpr std::uint32_t kJobs = 40;

/// Attempts of all jobs, one after the other: 2 * kJobs states in all.
JobChange step(std::uint32_t number) {
    JobChange change{.index = number / 2, .state = number % 2 == 0 ? JobState::running : JobState::succeeded};
    change.attempts = 1;
    change.run_id = fmt::format("01run{}", change.index);
    change.at = instant(number);
    return change;
}

class PowerLossTest : public BatchesTest {
protected:
    void SetUp() override {
        BatchesTest::SetUp();
        ASSERT_OK(write_batch(batches(), new_batch("01a", kJobs)));
        log_of_batch_ = log().size();
        for (std::uint32_t number = 0; number < 2 * kJobs; ++number) {
            auto change = step(number);
            ASSERT_OK(batches().apply("01a", own_identity(), {&change, 1}, true));
            log_sizes_.push_back(log().size());
        }
        database_ = value_of(read_file(path(), 64 << 20));
        log_ = log();
    }
    std::string log() { return value_of(read_file(path().string() + "-wal", 64 << 20)); }

    /// How many steps a machine finds that comes up again with this log; fails when they are not the first so many.
    std::size_t steps_after_restart(const std::string& log) {
        auto folder = value_of(TempDir::make());
        std::ofstream(folder.path() / "vmette.db", std::ios::binary) << database_;
        std::ofstream(folder.path() / "vmette.db-wal", std::ios::binary) << log;
        auto store = Store::open(folder.path() / "vmette.db", clock_);
        if (!store) ADD_FAILURE() << store.error().text();
        if (!store) return 0;
        Batches batches(*store);
        auto jobs = batches.jobs("01a");
        if (!jobs) ADD_FAILURE() << jobs.error().text();
        if (!jobs) return 0;
        EXPECT_EQ(jobs->size(), kJobs);
        std::size_t steps = 0;
        bool gap = false;
        for (const auto& job : *jobs) {
            EXPECT_TRUE(!gap || job.state == JobState::pending) << "a later change is there, an earlier one is not";
            steps += job.state == JobState::succeeded ? 2 : job.state == JobState::running ? 1 : 0;
            gap = gap || job.state != JobState::succeeded;
        }
        return steps;
    }
    /// The steps that are whole in so many bytes of the log.
    std::size_t steps_in(std::size_t bytes) const {
        return static_cast<std::size_t>(std::ranges::upper_bound(log_sizes_, bytes) - log_sizes_.begin());
    }

    std::size_t log_of_batch_ = 0;
    std::vector<std::size_t> log_sizes_;  ///< after each step
    std::string database_, log_;
    std::mt19937 random_{20};
};

TEST_F(PowerLossTest, LogThatEndsAnywhereHoldsTheStepsBeforeIt) {
    ASSERT_EQ(log_sizes_.back(), log_.size());
    EXPECT_EQ(steps_after_restart(log_), 2 * kJobs);
    for (int time = 0; time < 100; ++time) {
        auto kept = std::uniform_int_distribution<std::size_t>(log_of_batch_, log_.size())(random_);
        SCOPED_TRACE(fmt::format("{} of {} bytes", kept, log_.size()));
        EXPECT_EQ(steps_after_restart(log_.substr(0, kept)), steps_in(kept));
    }
}

TEST_F(PowerLossTest, SectorThatWasNotWrittenEndsTheLogThere) {
    constexpr std::size_t kSector = 512;
    for (int time = 0; time < 100; ++time) {
        auto at = std::uniform_int_distribution<std::size_t>(log_of_batch_, log_.size() - kSector)(random_);
        at -= at % kSector;
        if (at < log_of_batch_) continue;
        SCOPED_TRACE(fmt::format("byte {} of {}", at, log_.size()));
        auto torn = log_;
        for (std::size_t i = at; i < at + kSector; ++i) torn[i] = static_cast<char>(~torn[i]);
        EXPECT_EQ(steps_after_restart(torn), steps_in(at));
    }
}

}  // namespace
}  // namespace vmette::store
