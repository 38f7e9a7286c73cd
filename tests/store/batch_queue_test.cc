#include <sys/mount.h>

#include <gmock/gmock.h>

#include "base/fd.h"
#include "store/batches_fixture.h"

namespace vmette::store {
namespace {

using ::testing::HasSubstr;
using Requests = std::vector<std::optional<std::uint32_t>>;

class BatchQueueTest : public BatchesTest {
protected:
    void SetUp() override {
        BatchesTest::SetUp();
        ASSERT_OK(write_batch(batches(), new_batch("01a", 5)));
    }
    Result<> change(const JobChange& change, bool durable = false) {
        return batches().apply("01a", own_identity(), {&change, 1}, durable);
    }
    BatchRecord batch() { return value_of(batches().find("01a")); }
};

TEST_F(BatchQueueTest, TakenWhenItsOwnerIsGoneOrNobody) {
    auto taken = batches().take("01a", process(1), nobody_lives);
    ASSERT_OK(taken);
    EXPECT_EQ(taken->owner, process(1));
    EXPECT_EQ(batch(), *taken);
    ASSERT_OK(batches().release("01a", process(1), BatchStatus::interrupted));
    EXPECT_EQ(batch().owner, ProcessIdentity{});
    EXPECT_EQ(batch().status, BatchStatus::interrupted);
    EXPECT_EQ(batch().finished_at, std::nullopt);
    // Nobody is not asked whether he lives.
    ASSERT_OK(batches().take("01a", process(2), all_live));
    EXPECT_EQ(batch().status, BatchStatus::running);
}

TEST_F(BatchQueueTest, NotTakenFromALivingProcess) {
    auto taken =
        batches().take("01a", process(1), [](const ProcessIdentity& owner) { return owner == own_identity(); });
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, ErrorCode::busy);
    EXPECT_EQ(taken.error().text(), fmt::format("batch 01a is driven by process {}", own_identity().pid));
    EXPECT_EQ(batch().owner, own_identity());
    // Who has it, has it.
    ASSERT_OK(batches().take("01a", own_identity(), all_live));
}

TEST_F(BatchQueueTest, SamePidOfAnotherTimeOrBootIsAnotherProcess) {
    ProcessIdentity later = own_identity(), rebooted = own_identity();
    ++later.start_ticks;
    rebooted.boot_id = "another";
    for (const auto& other : {later, rebooted}) {
        EXPECT_EQ(batches().take("01a", other, all_live).error().code, ErrorCode::busy);
        EXPECT_EQ(batches().release("01a", other, BatchStatus::failed).error().code, ErrorCode::busy);
        EXPECT_EQ(batches().apply("01a", other, {}, false).error().code, ErrorCode::busy);
    }
    EXPECT_EQ(batch().owner, own_identity());
}

TEST_F(BatchQueueTest, WhoLostItCanNeitherWriteNorGiveItUp) {
    ASSERT_OK(batches().take("01a", process(1), nobody_lives));
    auto written = change({.index = 0, .state = JobState::running, .attempts = 1});
    EXPECT_EQ(written.error().code, ErrorCode::busy);
    EXPECT_EQ(written.error().text(), "batch 01a is not driven by this process any more, but by process 1");
    EXPECT_EQ(job("01a", 0), new_job(0));
    EXPECT_EQ(batches().release("01a", own_identity(), BatchStatus::failed).error().code, ErrorCode::busy);
    EXPECT_EQ(batch().status, BatchStatus::running);
    ASSERT_OK(batches().release("01a", process(1), BatchStatus::failed));
    EXPECT_EQ(change({}).error().text(), "batch 01a is not driven by this process any more");
}

TEST_F(BatchQueueTest, EndIsTimedAndTakenBackByTheNextTake) {
    clock_.advance(std::chrono::milliseconds(77));
    for (auto status : {BatchStatus::succeeded, BatchStatus::failed, BatchStatus::cancelled}) {
        ASSERT_OK(batches().release("01a", own_identity(), status));
        EXPECT_EQ(batch().status, status);
        EXPECT_EQ(batch().finished_at, instant(77));
        auto taken = value_of(batches().take("01a", own_identity(), all_live));
        EXPECT_EQ(taken.finished_at, std::nullopt);
        EXPECT_EQ(batch(), taken);
    }
}

TEST_F(BatchQueueTest, JobGoesThroughItsTries) {
    JobRecord expected = new_job(2);
    JobChange begin{.index = 2, .state = JobState::running, .attempts = 1};
    begin.run_id = "01r1";
    begin.at = instant(10);
    ASSERT_OK(change(begin));
    expected.state = JobState::running;
    expected.attempts = 1;
    expected.run_id = "01r1";
    expected.started_at = instant(10);
    EXPECT_EQ(job("01a", 2), expected);

    JobChange again{.index = 2, .state = JobState::pending, .attempts = 1};
    again.not_before = instant(500);
    again.reason = "exited";
    again.exit_code = 75;
    again.detail = "again";
    ASSERT_OK(change(again));
    expected.state = JobState::pending;
    expected.not_before = instant(500);
    expected.reason = "exited";
    expected.exit_code = 75;
    expected.detail = "again";
    EXPECT_EQ(job("01a", 2), expected);

    begin = {.index = 2, .state = JobState::running, .attempts = 2};
    begin.run_id = "01r2";
    begin.at = instant(600);
    ASSERT_OK(change(begin));
    expected.state = JobState::running;
    expected.attempts = 2;
    expected.not_before.reset();
    expected.run_id = "01r2";
    EXPECT_EQ(job("01a", 2), expected) << "what the last try left stays, and the first one's begin";

    JobChange end{.index = 2, .state = JobState::failed, .attempts = 2};
    end.reason = "timeout";
    end.at = instant(700);
    ASSERT_OK(change(end, true));
    expected.state = JobState::failed;
    expected.reason = "timeout";
    expected.exit_code.reset();
    expected.detail.clear();
    expected.finished_at = instant(700);
    EXPECT_EQ(job("01a", 2), expected) << "an exit code is not left beside another reason";

    ASSERT_OK(change({.index = 2, .state = JobState::pending, .attempts = 2}));
    expected.state = JobState::pending;
    expected.finished_at.reset();
    expected.started_at.reset();
    EXPECT_EQ(job("01a", 2), expected) << "it begins anew";
}

TEST_F(BatchQueueTest, AttemptThatNeverWasLeavesNoTrace) {
    JobChange begin{.index = 0, .state = JobState::running, .attempts = 1};
    begin.run_id = "01r1";
    begin.at = instant(10);
    ASSERT_OK(change(begin));
    ASSERT_OK(change({.index = 0, .state = JobState::pending, .attempts = 0}));
    EXPECT_EQ(job("01a", 0), new_job(0));
}

TEST_F(BatchQueueTest, ChangesAreAllMadeOrNone) {
    std::vector<JobChange> changes;
    for (std::uint32_t i = 0; i < 6; ++i) changes.push_back({.index = i, .state = JobState::skipped});
    auto written = batches().apply("01a", own_identity(), changes, true);
    EXPECT_EQ(written.error().code, ErrorCode::internal);
    EXPECT_EQ(written.error().text(), "batch 01a has no job 5");
    EXPECT_EQ(value_of(batches().counts("01a")).pending, 5u);
    changes.pop_back();
    ASSERT_OK(batches().apply("01a", own_identity(), changes, true));
    EXPECT_EQ(value_of(batches().counts("01a")).skipped, 5u);
    // Several changes of one job: the last one holds.
    const JobChange twice[] = {{.index = 1, .state = JobState::running, .attempts = 1},
                               {.index = 1, .state = JobState::succeeded, .attempts = 1}};
    ASSERT_OK(batches().apply("01a", own_identity(), twice, false));
    EXPECT_EQ(job("01a", 1).state, JobState::succeeded);
}

TEST_F(BatchQueueTest, CancelRequestsWaitUntilTheyAreTakenOnce) {
    ASSERT_OK(batches().request_cancel("01a", 3));
    ASSERT_OK(batches().request_cancel("01a", 1));
    ASSERT_OK(batches().request_cancel("01a", 3));
    ASSERT_OK(batches().request_cancel("01a", std::nullopt));
    EXPECT_EQ(value_of(batches().take_cancel_requests("01a")), (Requests{std::nullopt, 1, 3}));
    EXPECT_EQ(value_of(batches().take_cancel_requests("01a")), Requests{});
    EXPECT_EQ(batches().request_cancel("01a", 5).error().text(), "batch 01a has no job 5");
}

TEST_F(BatchQueueTest, CancelRequestOutlivesAnInterruptionAndNotAnEnd) {
    ASSERT_OK(batches().request_cancel("01a", 1));
    ASSERT_OK(batches().release("01a", own_identity(), BatchStatus::interrupted));
    ASSERT_OK(batches().take("01a", own_identity(), all_live));
    EXPECT_EQ(value_of(batches().take_cancel_requests("01a")), Requests{1});

    ASSERT_OK(batches().release("01a", own_identity(), BatchStatus::failed));
    ASSERT_OK(batches().request_cancel("01a", std::nullopt));
    ASSERT_OK(batches().take("01a", own_identity(), all_live));
    EXPECT_EQ(value_of(batches().take_cancel_requests("01a")), Requests{});
}

TEST_F(BatchQueueTest, NoCancelRequestsNeedNoLock) {
    auto reader = Store::open(path(), clock_, std::chrono::milliseconds(0));
    ASSERT_OK(reader);
    SQLite::Database other(path().string(), SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    EXPECT_EQ(value_of(Batches(*reader).take_cancel_requests("01a")), Requests{});
}

TEST_F(BatchQueueTest, LockedQueueIsSaidAndLosesNothing) {
    auto hurried = Store::open(path(), clock_, std::chrono::milliseconds(20));
    ASSERT_OK(hurried);
    Batches queue(*hurried);
    SQLite::Database other(path().string(), SQLite::OPEN_READWRITE);
    other.exec("BEGIN IMMEDIATE");
    std::string locked = fmt::format("the history {} was locked by another process for 20ms", path().string());
    const JobChange begin{.index = 0, .state = JobState::running, .attempts = 1};
    auto written = queue.apply("01a", own_identity(), {&begin, 1}, true);
    auto created = write_batch(queue, new_batch("01b", 3));
    auto claimed = queue.claim(own_identity(), {1, 1, 1}, {}, all_live);
    auto taken = queue.take("01a", own_identity(), all_live);
    for (const auto& error : {written.error(), created.error(), claimed.error(), taken.error()}) {
        EXPECT_EQ(error.code, ErrorCode::busy);
        EXPECT_EQ(error.text(), locked);
    }
    // Reading goes on.
    EXPECT_EQ(value_of(queue.counts("01a")).pending, 5u);
    other.exec("COMMIT");
    ASSERT_OK(queue.apply("01a", own_identity(), {&begin, 1}, true));
    EXPECT_EQ(job("01a", 0).state, JobState::running);
}

TEST_F(BatchQueueTest, ReadOnlyQueueIsReadAndNeverWritten) {
    auto readable = Store::open_read_only(path(), clock_);
    ASSERT_OK(readable);
    Batches queue(*readable);
    EXPECT_EQ(value_of(queue.find("01a")), batch());
    EXPECT_EQ(value_of(queue.jobs("01a")).size(), 5u);
    EXPECT_EQ(value_of(queue.take_cancel_requests("01a")), Requests{});
    const JobChange begin{.index = 0, .state = JobState::running, .attempts = 1};
    auto written = queue.apply("01a", own_identity(), {&begin, 1}, true);
    auto created = write_batch(queue, new_batch("01b", 3));
    auto taken = queue.take("01a", own_identity(), all_live);
    auto cancelled = queue.request_cancel("01a", 0);
    for (const auto& error : {written.error(), created.error(), taken.error(), cancelled.error()}) {
        EXPECT_EQ(error.code, ErrorCode::io);
        EXPECT_EQ(error.text(),
                  fmt::format("cannot use the history {}: attempt to write a readonly database; the file and its "
                              "folder must be writable for you",
                              path().string()));
    }
}

/// A queue on a filesystem of 4 MiB.
class FullDiskTest : public StoreTest {
protected:
    void SetUp() override {
        ASSERT_OK(make_private_dir(path().parent_path()));
        if (::mount("tmpfs", path().parent_path().c_str(), "tmpfs", 0, "size=4m,mode=0700") != 0)
            GTEST_SKIP() << "a small filesystem can be mounted by root alone: " << ::strerror(errno);
        mounted_ = true;
    }
    ~FullDiskTest() override {
        if (mounted_) ::umount(path().parent_path().c_str());
    }
    std::filesystem::path filler() const { return path().parent_path() / "filler"; }
    /// Takes what is free, but for so many bytes.
    void fill(std::uintmax_t leave) {
        auto file = open_file(filler(), O_WRONLY | O_CREAT | O_TRUNC);
        ASSERT_OK(file);
        auto free = std::filesystem::space(path().parent_path()).free;
        ASSERT_OK(write_all(file->get(), std::string(free - leave, 'x')));
    }
    std::string no_space() const { return fmt::format("no space left to write the history {}", path().string()); }

    bool mounted_ = false;
};

TEST_F(FullDiskTest, ChangeWithoutSpaceIsSaidAndMadeWhenThereIsSpace) {
    auto store = open();
    ASSERT_OK(store);
    Batches queue(*store);
    constexpr std::uint32_t kJobs = 200;
    ASSERT_OK(write_batch(queue, new_batch("01a", kJobs)));
    fill(0);
    std::vector<JobChange> changes;
    for (std::uint32_t i = 0; i < kJobs; ++i) {
        changes.push_back({.index = i, .state = JobState::failed, .attempts = 1});
        changes.back().reason = "exited";
        changes.back().detail = std::string(1000, 'd');
    }
    for (bool durable : {false, true}) {
        auto written = queue.apply("01a", own_identity(), changes, durable);
        ASSERT_FALSE(written);
        EXPECT_EQ(written.error().code, ErrorCode::no_space);
        EXPECT_EQ(written.error().text(), no_space());
        EXPECT_EQ(value_of(queue.counts("01a")).pending, kJobs);
    }
    std::filesystem::remove(filler());
    ASSERT_OK(queue.apply("01a", own_identity(), changes, true));
    EXPECT_EQ(value_of(queue.counts("01a")).failed, kJobs);
    EXPECT_EQ(value_of(store->check()), "");
}

TEST_F(FullDiskTest, BatchWithoutSpaceIsNotThereAtAll) {
    auto store = open();
    ASSERT_OK(store);
    Batches queue(*store);
    ASSERT_OK(write_batch(queue, new_batch("01a", 10)));
    fill(256 * 1024);
    auto created = write_batch(queue, new_batch("01b", 20'000));
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().code, ErrorCode::no_space);
    EXPECT_EQ(created.error().text(), no_space());
    EXPECT_EQ(queue.jobs("01b").error().code, ErrorCode::not_found);
    EXPECT_EQ(value_of(queue.counts("01a")).pending, 10u);
    std::filesystem::remove(filler());
    ASSERT_OK(write_batch(queue, new_batch("01b", 500)));
    EXPECT_EQ(value_of(store->check()), "");
}

}  // namespace
}  // namespace vmette::store
