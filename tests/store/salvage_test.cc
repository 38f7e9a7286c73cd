#include <fcntl.h>
#include <sqlite3.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include "base/fd.h"
#include "store/history.h"
#include "store/salvage.h"
#include "store/store_fixture.h"

namespace vmette::store {
namespace {

constexpr int kRuns = 300;
constexpr std::size_t kPage = 4096;

class SalvageTest : public StoreTest {
protected:
    /// Made once: each run's row waits for the disk.
    static void SetUpTestSuite() {
        model_.emplace(value_of(TempDir::make()));
        testing::ManualClock clock;
        Store store = value_of(Store::open(model(), clock));
        for (int i = 0; i < kRuns; ++i) {
            ASSERT_OK(store.insert_run(full_run(id(i))));
            ASSERT_OK(History(store).index_output(id(i), fmt::format("it said number{}", i)));
        }
        ASSERT_OK(store.put_fact("k", "v"));
        run_sql(model(), "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    static void TearDownTestSuite() { model_.reset(); }
    void SetUp() override {
        ASSERT_OK(make_private_dir(path().parent_path()));
        std::filesystem::copy_file(model(), path());
    }
    static std::filesystem::path model() { return model_->path() / "state" / "vmette.db"; }
    static std::string id(int i) { return fmt::format("01{:03}", i); }
    std::filesystem::path target() const { return folder_->path() / "state" / "saved.db"; }

    static void run_sql(const std::filesystem::path& file, const std::string& sql) {
        SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
        database.exec("PRAGMA ignore_check_constraints = 1");
        database.exec(sql);
    }
    /// Pages (from 1) of a table or an index, by what they are.
    std::vector<int> pages(const std::string& name, const std::string& type) {
        SQLite::Database database(path().string(), SQLite::OPEN_READONLY);
        std::vector<int> found;
        SQLite::Statement root(database, "SELECT rootpage FROM sqlite_schema WHERE name = '" + name + "'");
        root.executeStep();
        std::string content = value_of(read_file(path(), 64 << 20));
        std::vector<int> left{root.getColumn(0).getInt()};
        while (!left.empty()) {
            int page = left.back();
            left.pop_back();
            auto at = [&](std::size_t offset) {
                return static_cast<unsigned char>(content[static_cast<std::size_t>(page - 1) * kPage + offset]);
            };
            auto number = [&](std::size_t offset) {
                return at(offset) << 24 | at(offset + 1) << 16 | at(offset + 2) << 8 | at(offset + 3);
            };
            bool interior = at(0) == 5 || at(0) == 2;
            if (interior == (type == "interior")) found.push_back(page);
            if (!interior) continue;
            // SQLite's file format, 1.6: the cells' offsets follow a header of 12 bytes, the last child is in it.
            left.push_back(number(8));
            for (int cell = 0; cell < (at(3) << 8 | at(4)); ++cell) {
                auto place = static_cast<std::size_t>(12 + 2 * cell);
                left.push_back(number(static_cast<std::size_t>(at(place) << 8 | at(place + 1))));
            }
        }
        std::ranges::sort(found);
        return found;
    }
    void wipe(int page) {
        auto fd = open_file(path(), O_WRONLY);
        ASSERT_OK(fd);
        std::string noise(kPage, '\xAB');
        ASSERT_EQ(::pwrite(fd->get(), noise.data(), kPage, static_cast<off_t>(page - 1) * static_cast<off_t>(kPage)),
                  static_cast<ssize_t>(kPage));
    }
    /// The runs that the saved history has, each as it was.
    std::vector<std::string> saved_ids() {
        Store store = value_of(Store::open(target(), clock_));
        EXPECT_EQ(value_of(store.check()), "");
        RunFilter all;
        all.limit = 0;
        std::vector<std::string> ids;
        for (const auto& run : value_of(store.list_runs(all))) {
            EXPECT_EQ(**store.get_run(run.id), full_run(run.id));
            ids.push_back(run.id);
        }
        return ids;
    }
    Salvage saved() { return value_of(salvage(path(), target(), clock_)); }

private:
    static inline std::optional<TempDir> model_;
};

TEST_F(SalvageTest, SoundHistoryIsCopiedWhole) {
    std::string before = value_of(read_file(path(), 64 << 20));
    Salvage result = saved();
    EXPECT_EQ(result.runs, std::uint64_t{kRuns});
    EXPECT_EQ(result.gaps, 0u);
    EXPECT_EQ(result.refused, 0u);
    EXPECT_EQ(saved_ids().size(), std::size_t{kRuns});
    Store store = value_of(Store::open(target(), clock_));
    EXPECT_EQ(value_of(store.get_fact("k")), "v");
    RunFilter words;
    words.grep = "number17";
    EXPECT_EQ(value_of(store.list_runs(words)).front().id, id(17));
    EXPECT_EQ(value_of(read_file(path(), 64 << 20)), before);
}

TEST_F(SalvageTest, WhatIsInTheLogAloneIsSavedToo) {
    ASSERT_OK(value_of(open()).insert_run(full_run("01last")));
    EXPECT_EQ(saved().runs, std::uint64_t{kRuns + 1});
}

TEST_F(SalvageTest, RunsOnBothSidesOfADamagedPageAreSaved) {
    auto leaves = pages("runs", "leaf");
    ASSERT_GT(leaves.size(), 10u);
    wipe(leaves[3]);
    wipe(leaves[7]);
    Salvage result = saved();
    EXPECT_EQ(result.gaps, 2u);
    EXPECT_LT(result.runs, std::uint64_t{kRuns});
    EXPECT_GT(result.runs, std::uint64_t{kRuns} * (leaves.size() - 3) / leaves.size());
    auto ids = saved_ids();
    EXPECT_EQ(ids.size(), result.runs);
    EXPECT_EQ(std::ranges::count(ids, id(0)) + std::ranges::count(ids, id(kRuns - 1)), 2);
    Salvage counted = value_of(count_salvageable(path()));
    EXPECT_EQ(counted.runs, result.runs);
    EXPECT_EQ(counted.gaps, 2u);
}

TEST_F(SalvageTest, DamagedIndexCostsNoRun) {
    wipe(pages("runs_by_name", "interior").front());
    for (int page : pages("runs_by_time", "leaf")) wipe(page);
    EXPECT_EQ(saved().runs, std::uint64_t{kRuns});
    EXPECT_EQ(saved_ids().size(), std::size_t{kRuns});
}

TEST_F(SalvageTest, TableWithAnIndexThatHasItWholeIsReadByIt) {
    for (int page : pages("run_labels", "leaf")) wipe(page);
    Salvage result = saved();
    EXPECT_EQ(result.gaps, 0u);
    EXPECT_EQ(saved_ids().size(), std::size_t{kRuns});
}

TEST_F(SalvageTest, DamagedSideTableCostsItsRowsAlone) {
    auto leaves = pages("run_artifacts", "leaf");
    ASSERT_GT(leaves.size(), 2u);
    wipe(leaves[1]);
    Salvage result = saved();
    EXPECT_EQ(result.runs, std::uint64_t{kRuns});
    EXPECT_EQ(result.gaps, 1u);
    EXPECT_EQ(result.refused, 0u);
    Store store = value_of(Store::open(target(), clock_));
    EXPECT_EQ(**store.get_run(id(0)), full_run(id(0)));
    EXPECT_EQ(**store.get_run(id(kRuns - 1)), full_run(id(kRuns - 1)));
}

TEST_F(SalvageTest, CutOffFileGivesItsBeginning) {
    std::filesystem::resize_file(path(), std::filesystem::file_size(path()) / 2);
    Salvage result = saved();
    EXPECT_GT(result.runs, std::uint64_t{kRuns / 10});
    EXPECT_LT(result.runs, std::uint64_t{kRuns});
    EXPECT_GE(result.gaps, 1u);
    Store store = value_of(Store::open(target(), clock_));
    EXPECT_EQ(value_of(store.check()), "");
}

TEST_F(SalvageTest, RowsThatNoVmetteWritesAreLeftOut) {
    run_sql(path(), "UPDATE runs SET vcpus = -1 WHERE id = '01005'");
    run_sql(path(), "UPDATE runs SET status = 'dancing' WHERE id = '01006'");
    Salvage result = saved();
    EXPECT_EQ(result.runs, std::uint64_t{kRuns - 2});
    EXPECT_EQ(saved_ids().size(), std::size_t{kRuns - 2});
    EXPECT_GE(result.refused, 2u);
}

TEST_F(SalvageTest, FileWhoseFirstPageIsGoneHasNothingToSave) {
    wipe(1);
    auto result = salvage(path(), target(), clock_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::io);
    EXPECT_FALSE(std::filesystem::exists(target()));
}

TEST_F(SalvageTest, NewerHistoryIsRefused) {
    run_sql(path(), "PRAGMA user_version = 99");
    auto result = salvage(path(), target(), clock_);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::unsupported);
    EXPECT_FALSE(std::filesystem::exists(target()));
}

}  // namespace
}  // namespace vmette::store
