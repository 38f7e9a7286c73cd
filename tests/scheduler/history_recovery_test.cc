#include <fcntl.h>
#include <sys/file.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include "base/fd.h"
#include "base/process.h"
#include "scheduler/history_recovery.h"
#include "support/manual_clock.h"

namespace vmette::scheduler {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HistoryRecoveryTest : public ::testing::Test {
protected:
    void SetUp() override {
        ASSERT_TRUE(folder_);
        layout_.state = folder_->path() / "state";
        ASSERT_TRUE(make_private_dir(layout_.state));
        for (const char* id : {"01a", "01b", "01c"}) add(id, store::RunStatus::succeeded);
    }
    void add(const std::string& id, store::RunStatus status, ProcessIdentity owner = {}) {
        auto store = store::Store::open(layout_.database(), clock_);
        ASSERT_TRUE(store) << store.error().text();
        store::RunRecord run;
        run.id = id;
        run.name = "hello";
        run.status = status;
        run.owner = owner;
        run.created_at = clock_.now();
        ASSERT_TRUE(store->insert_run(run));
    }
    /// The order of the runs in time is lost; the runs are not.
    void damage_an_index() {
        int page = 0;
        {
            SQLite::Database database(layout_.database().string(), SQLite::OPEN_READWRITE);
            database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
            page = database.execAndGet("SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_time'").getInt();
        }
        overwrite((page - 1) * 4096);
    }
    void overwrite(off_t at) {
        auto fd = open_file(layout_.database(), O_WRONLY);
        ASSERT_TRUE(fd);
        std::string noise(4096, '\xAB');
        ASSERT_EQ(::pwrite(fd->get(), noise.data(), noise.size(), at), 4096);
    }
    std::string bytes() { return read_file(layout_.database(), 64 << 20).value(); }
    HostCheck examined() {
        auto store = store::Store::open(layout_.database(), clock_);
        if (!store) return examine_history(layout_, Failure(store.error()));
        return examine_history(layout_, &*store);
    }

    Result<TempDir> folder_ = TempDir::make();
    Layout layout_;
    vmette::testing::ManualClock clock_;
};

TEST_F(HistoryRecoveryTest, SoundHistoryIsLeftAlone) {
    auto recovered = recover_history(layout_, clock_, false);
    ASSERT_TRUE(recovered) << recovered.error().text();
    EXPECT_TRUE(recovered->was_sound);
    EXPECT_TRUE(recovered->kept_as.empty());
    EXPECT_EQ(examined().state, HostCheck::State::ok);
}

TEST_F(HistoryRecoveryTest, DamagedHistoryIsReplacedAndKept) {
    damage_an_index();
    std::string before = bytes();
    auto recovered = recover_history(layout_, clock_, false);
    ASSERT_TRUE(recovered) << recovered.error().text();
    EXPECT_FALSE(recovered->was_sound);
    EXPECT_EQ(recovered->saved.runs, 3u);
    EXPECT_THAT(recovered->kept_as.string(), StartsWith(layout_.database().string() + ".damaged-20"));
    EXPECT_EQ(read_file(recovered->kept_as, 64 << 20).value(), before);
    auto store = store::Store::open(layout_.database(), clock_);
    ASSERT_TRUE(store) << store.error().text();
    EXPECT_EQ(store->check().value(), "");
    EXPECT_EQ(store->list_runs({}).value().size(), 3u);
    // A second accident in the same second does not take the first one's place.
    store = Failure(Error{});
    damage_an_index();
    auto again = recover_history(layout_, clock_, false);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_THAT(again->kept_as.string(), EndsWith("Z-2"));
}

TEST_F(HistoryRecoveryTest, DryRunSaysWhatCouldBeSavedAndChangesNothing) {
    damage_an_index();
    std::string before = bytes();
    auto recovered = recover_history(layout_, clock_, true);
    ASSERT_TRUE(recovered) << recovered.error().text();
    EXPECT_EQ(recovered->saved.runs, 3u);
    EXPECT_EQ(bytes(), before);
    for (const auto& entry : std::filesystem::directory_iterator(layout_.state))
        EXPECT_THAT(entry.path().filename().string(), StartsWith("vmette.db"));
}

TEST_F(HistoryRecoveryTest, HistoryOfRunsThatGoOnIsNotReplaced) {
    add("01d", store::RunStatus::running, own_identity());
    damage_an_index();
    std::string before = bytes();
    auto recovered = recover_history(layout_, clock_, false);
    ASSERT_FALSE(recovered);
    EXPECT_EQ(recovered.error().code, ErrorCode::busy);
    EXPECT_EQ(recovered.error().text(),
              "1 of its runs is still going: stop it, or wait, before the history is replaced");
    EXPECT_EQ(bytes(), before);
}

TEST_F(HistoryRecoveryTest, OneAtATime) {
    auto held = open_file(layout_.state, O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(held);
    ASSERT_EQ(::flock(held->get(), LOCK_EX), 0);
    auto recovered = recover_history(layout_, clock_, false);
    ASSERT_FALSE(recovered);
    EXPECT_EQ(recovered.error().code, ErrorCode::busy);
}

TEST_F(HistoryRecoveryTest, FileOfWhichNothingCanBeReadIsSaidAndStays) {
    damage_an_index();
    overwrite(0);
    std::string before = bytes();
    auto recovered = recover_history(layout_, clock_, false);
    ASSERT_FALSE(recovered);
    EXPECT_THAT(recovered.error().text(), HasSubstr("is damaged or not a vmette database"));
    EXPECT_EQ(bytes(), before);
    HostCheck check = examined();
    EXPECT_EQ(check.state, HostCheck::State::missing);
    EXPECT_EQ(check.advice, "");
}

TEST_F(HistoryRecoveryTest, DoctorOffersWhatCanBeSaved) {
    damage_an_index();
    HostCheck check = examined();
    EXPECT_EQ(check.state, HostCheck::State::missing);
    EXPECT_THAT(check.detail, HasSubstr("is damaged: "));
    EXPECT_EQ(check.advice,
              "3 runs can be read: \"vmette history recover\" makes a history of them and keeps the damaged file");
}

TEST_F(HistoryRecoveryTest, HistoryOfANewerVmetteIsNotDamaged) {
    SQLite::Database(layout_.database().string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 99");
    HostCheck check = examined();
    EXPECT_EQ(check.state, HostCheck::State::missing);
    EXPECT_THAT(check.detail, HasSubstr("written by a newer vmette"));
    EXPECT_EQ(check.advice, "");
    auto recovered = recover_history(layout_, clock_, false);
    ASSERT_FALSE(recovered);
    EXPECT_EQ(recovered.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace vmette::scheduler
