#include "store/batches_fixture.h"

namespace vmette::store {
namespace {

class CachedResultsTest : public BatchesTest {
protected:
    void insert(const std::string& id, const std::string& batch, const std::string& job) {
        RunRecord run = new_run(id);
        run.batch = batch;
        run.job = job;
        ASSERT_OK(store().insert_run(run));
    }
    std::string run_of(const Result<std::optional<Batches::CachedResult>>& found) {
        return !found ? found.error().text() : *found ? (*found)->run_id : "none";
    }
};

TEST_F(CachedResultsTest, FoundByItsKeyAndReplaced) {
    insert("01r", "", "");
    insert("01s", "", "");
    EXPECT_EQ(run_of(batches().cached("k")), "none");
    ASSERT_OK(batches().put_cached("k", {"01r", R"({"image":"sha256:1"})"}));
    EXPECT_EQ((*batches().cached("k"))->inputs, R"({"image":"sha256:1"})");
    ASSERT_OK(batches().put_cached("k", {"01s", "{}"}));
    EXPECT_EQ(run_of(batches().cached("k")), "01s");
    EXPECT_EQ(run_of(batches().cached("K")), "none");
}

TEST_F(CachedResultsTest, RunThatIsNotInTheHistoryIsRefused) {
    auto put = batches().put_cached("k", {"01x", "{}"});
    EXPECT_EQ(put.error().code, ErrorCode::not_found);
    EXPECT_EQ(put.error().text(), "the history has no run 01x");
    EXPECT_EQ(run_of(batches().cached("k")), "none");
}

TEST_F(CachedResultsTest, GoesWithItsRun) {
    insert("01r", "", "");
    ASSERT_OK(batches().put_cached("k", {"01r", "{}"}));
    SQLite::Database other(path().string(), SQLite::OPEN_READWRITE);
    other.exec("PRAGMA foreign_keys = ON; DELETE FROM runs");
    EXPECT_EQ(run_of(batches().cached("k")), "none");
}

TEST_F(CachedResultsTest, NewestOfAJobInAnyBatchOfTheName) {
    ASSERT_OK(write_batch(batches(), new_batch("01a", 0, "nightly")));
    ASSERT_OK(write_batch(batches(), new_batch("01b", 0, "nightly")));
    ASSERT_OK(write_batch(batches(), new_batch("01c", 0, "weekly")));
    insert("01r", "01a", "build");
    insert("01s", "01b", "build");
    insert("01t", "01c", "build");
    insert("01u", "01b", "test");
    for (const char* id : {"01s", "01r", "01t", "01u"}) {
        ASSERT_OK(batches().put_cached(std::string("key of ") + id, {id, "{}"}));
        clock_.advance(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(run_of(batches().cached_for("nightly", "build")), "01r");
    EXPECT_EQ(run_of(batches().cached_for("nightly", "test")), "01u");
    EXPECT_EQ(run_of(batches().cached_for("weekly", "test")), "none");
    EXPECT_EQ(run_of(batches().cached_for("", "build")), "none");
}

TEST_F(CachedResultsTest, NewestOfAllComeFirst) {
    for (const char* id : {"01r", "01s", "01t"}) {
        insert(id, "", "");
        ASSERT_OK(batches().put_cached(std::string("key of ") + id, {id, "{}"}));
        clock_.advance(std::chrono::milliseconds(1));
    }
    auto found = value_of(batches().recent_cached(2));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].run_id, "01t");
    EXPECT_EQ(found[1].run_id, "01s");
}

TEST_F(CachedResultsTest, RemovedOnlyWhenItIsStillOfThatRun) {
    insert("01r", "", "");
    ASSERT_OK(batches().put_cached("k", {"01r", "{}"}));
    ASSERT_OK(batches().remove_cached("k", "01x"));
    EXPECT_EQ(run_of(batches().cached("k")), "01r");
    ASSERT_OK(batches().remove_cached("k", "01r"));
    EXPECT_EQ(run_of(batches().cached("k")), "none");
}

TEST_F(CachedResultsTest, DecisionsAreOfOneJobEachAndGoWithTheBatch) {
    ASSERT_OK(write_batch(batches(), new_batch("01a", 2)));
    EXPECT_EQ(value_of(batches().cache_decision("01a", 0)), "");
    ASSERT_OK(batches().put_cache_decision("01a", 0, "{}"));
    ASSERT_OK(batches().put_cache_decision("01a", 0, R"({"cause":"gone"})"));
    EXPECT_EQ(value_of(batches().cache_decision("01a", 0)), R"({"cause":"gone"})");
    EXPECT_EQ(value_of(batches().cache_decision("01a", 1)), "");
    EXPECT_EQ(batches().put_cache_decision("01a", 2, "{}").error().text(), "batch 01a has no job 2");
    EXPECT_EQ(batches().cache_decision("01x", 0).error().code, ErrorCode::not_found);
    SQLite::Database other(path().string(), SQLite::OPEN_READWRITE);
    other.exec("PRAGMA foreign_keys = ON; DELETE FROM batches");
    EXPECT_EQ(other.execAndGet("SELECT count(*) FROM cache_decisions").getInt(), 0);
}

TEST_F(CachedResultsTest, ListingsAreBytesAndBounded) {
    const std::string bytes("0123\0\xff\n", 7);
    ASSERT_OK(batches().put_tree_listing("d", bytes));
    EXPECT_EQ(value_of(batches().tree_listing("d")), bytes);
    EXPECT_EQ(value_of(batches().tree_listing("D")), std::nullopt);
    // Ten of a ninth of the room each, the first used again: the second has to go.
    const std::string ninth(Batches::kMostListings / 9, 'x');
    for (int i = 0; i < 10; ++i) {
        clock_.advance(std::chrono::milliseconds(1));
        ASSERT_OK(batches().put_tree_listing("big-" + std::to_string(i), ninth));
        clock_.advance(std::chrono::milliseconds(1));
        ASSERT_OK(batches().put_tree_listing("big-0", ninth));
    }
    EXPECT_TRUE(value_of(batches().tree_listing("big-0")));
    EXPECT_FALSE(value_of(batches().tree_listing("big-1")));
    EXPECT_TRUE(value_of(batches().tree_listing("big-2")));
    EXPECT_TRUE(value_of(batches().tree_listing("big-9")));
    EXPECT_FALSE(value_of(batches().tree_listing("d"))) << "the oldest";
}

TEST_F(CachedResultsTest, SaltIsRandomAndStays) {
    auto salt = value_of(batches().cache_salt());
    EXPECT_EQ(salt.size(), 64U);
    EXPECT_EQ(value_of(batches().cache_salt()), salt);
    auto again = open();
    ASSERT_TRUE(again);
    EXPECT_EQ(value_of(Batches(*again).cache_salt()), salt);
    ASSERT_OK(store().remove_facts("cache-salt"));
    EXPECT_NE(value_of(batches().cache_salt()), salt);
}

TEST_F(CachedResultsTest, WhetherAJobsResultWasReusedIsOfItsEnd) {
    ASSERT_OK(write_batch(batches(), new_batch("01a", 1)));
    auto self = own_identity();
    auto apply = [&](JobState state, std::string reason, bool reused) {
        JobChange change{.index = 0, .state = state, .attempts = 1, .reason = std::move(reason)};
        change.run_id = "01old";
        change.reused = reused;
        return batches().apply("01a", self, {&change, 1}, false);
    };
    EXPECT_FALSE(job("01a", 0).reused);
    ASSERT_OK(apply(JobState::succeeded, "exited", true));
    EXPECT_TRUE(job("01a", 0).reused);
    EXPECT_EQ(job("01a", 0).run_id, "01old");
    ASSERT_OK(apply(JobState::running, "", false));
    EXPECT_TRUE(job("01a", 0).reused) << "the last end's, as its reason is";
    ASSERT_OK(apply(JobState::failed, "timeout", false));
    EXPECT_FALSE(job("01a", 0).reused);
}

class ClaimsTest : public BatchesTest {
protected:
    std::optional<std::int64_t> claim(std::int64_t pid, Batches::Claim wanted, Batches::Claim bound) {
        return value_of(batches().claim(process(pid), wanted, bound, [this](const ProcessIdentity& who) {
            ++asked_;
            return !dead_ || who != process(*dead_);
        }));
    }
    std::optional<std::int64_t> dead_;
    int asked_ = 0;
};

TEST_F(ClaimsTest, AllProcessesTogetherStayWithinEachBound) {
    const Batches::Claim one{1, 2, 512};
    for (const Batches::Claim& bound : {Batches::Claim{2, 0, 0}, {0, 5, 0}, {0, 0, 1024}, {2, 4, 1024}}) {
        auto first = claim(1, one, bound), second = claim(2, one, bound);
        ASSERT_TRUE(first && second);
        EXPECT_NE(*first, *second);
        EXPECT_EQ(claim(1, one, bound), std::nullopt);
        EXPECT_EQ(claim(3, one, bound), std::nullopt);
        ASSERT_OK(batches().release_claim(*first));
        auto third = claim(3, one, bound);
        ASSERT_TRUE(third);
        EXPECT_GT(*third, *second) << "a number is never given twice";
        ASSERT_OK(batches().release_claim(*second));
        ASSERT_OK(batches().release_claim(*third));
    }
}

TEST_F(ClaimsTest, NoBoundsNoEnd) {
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(claim(1, {1, 8, 1 << 20}, {}));
    EXPECT_EQ(asked_, 0) << "we live";
    EXPECT_EQ(claim(1, {1, 0, 0}, {100, 0, 0}), std::nullopt);
}

TEST_F(ClaimsTest, WhatIsLargerThanTheBoundNeverFits) {
    EXPECT_EQ(claim(1, {1, 4, 1}, {8, 3, 0}), std::nullopt);
    EXPECT_EQ(claim(1, {1, 1, UINT64_MAX}, {0, 0, 1024}), std::nullopt);
}

TEST_F(ClaimsTest, DeadProcessesClaimNothing) {
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(claim(1, {1, 1, 1}, {3, 0, 0}));
    EXPECT_EQ(claim(2, {1, 1, 1}, {3, 0, 0}), std::nullopt);
    EXPECT_EQ(asked_, 1) << "once for each process";
    dead_ = 1;
    ASSERT_TRUE(claim(2, {1, 1, 1}, {3, 0, 0}));
    // Dropped for good: it would be another process by now.
    dead_.reset();
    ASSERT_TRUE(claim(2, {2, 1, 1}, {3, 0, 0}));
    EXPECT_EQ(claim(2, {1, 1, 1}, {3, 0, 0}), std::nullopt);
}

TEST_F(ClaimsTest, NumbersThatOverflowAreMuchAndNotLittle) {
    ASSERT_TRUE(claim(1, {UINT32_MAX, UINT32_MAX, INT64_MAX}, {}));
    ASSERT_TRUE(claim(1, {UINT32_MAX, UINT32_MAX, INT64_MAX}, {}));
    ASSERT_TRUE(claim(2, {UINT32_MAX, UINT32_MAX, INT64_MAX}, {}));
    EXPECT_EQ(claim(2, {1, 1, 1}, {8, 0, 0}), std::nullopt);
    EXPECT_EQ(claim(2, {1, 1, 1}, {0, 8, 0}), std::nullopt);
    EXPECT_EQ(claim(2, {1, 1, 1}, {0, 0, 1 << 20}), std::nullopt);
    ASSERT_TRUE(claim(2, {1, 1, 1}, {}));
}

TEST_F(ClaimsTest, DamagedClaimsAreErrors) {
    ASSERT_TRUE(claim(1, {1, 1, 1}, {}));
    for (const char* change : {"vms = -1", "memory_mib = -5", "start_ticks = -1", "vcpus = 1 << 32"}) {
        run_sql(fmt::format("CREATE TABLE kept AS SELECT * FROM claims; UPDATE claims SET {}", change));
        auto made = batches().claim(process(2), {1, 1, 1}, {9, 0, 0}, all_live);
        run_sql("DELETE FROM claims; INSERT INTO claims SELECT * FROM kept; DROP TABLE kept");
        ASSERT_FALSE(made) << change;
        EXPECT_EQ(made.error().code, ErrorCode::io);
    }
}

}  // namespace
}  // namespace vmette::store
