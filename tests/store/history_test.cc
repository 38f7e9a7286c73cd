#include "store/history.h"

#include <gmock/gmock.h>

#include "store/batches.h"
#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class HistoryStoreTest : public OpenStoreTest {
protected:
    RunRecord finished(const std::string& id, RunStatus status, std::int64_t duration_ms) {
        RunRecord run = new_run(id, "build", made_ * 1000);
        ++made_;
        run.status = status;
        run.reason = status == RunStatus::succeeded ? "exited" : "timeout";
        run.finished_at = run.created_at + Duration(duration_ms);
        return run;
    }
    void insert(const RunRecord& run) { ASSERT_OK(store().insert_run(run)); }
    std::vector<RunStats> stats(const std::vector<std::string>& by, const RunFilter& filter = {}) {
        return value_of(History(store()).stats(filter, by));
    }
    std::vector<std::string> found(const std::string& words) {
        RunFilter filter;
        filter.grep = words;
        std::vector<std::string> ids;
        for (const auto& run : value_of(store().list_runs(filter))) ids.push_back(run.id);
        return ids;
    }

    std::int64_t made_ = 0;
};

TEST_F(HistoryStoreTest, PercentilesAreValuesThatOccurred) {
    for (int i = 1; i <= 100; ++i) insert(finished("r" + std::to_string(i), RunStatus::succeeded, i * 10));
    insert(new_run("running", "build", 500'000));
    auto all = stats({});
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].runs, 101u);
    EXPECT_EQ(all[0].running, 1u);
    EXPECT_EQ(all[0].duration_ms, (Spread{100, 500, 950, 1000}));
    EXPECT_EQ(all[0].boot_ms, Spread{});
    EXPECT_EQ(all[0].memory_bytes, Spread{});
    EXPECT_EQ(all[0].failure_rate(), 0.0);
    RunFilter one;
    one.exit_code = 77;
    EXPECT_THAT(stats({}, one), IsEmpty());
}

TEST_F(HistoryStoreTest, GroupsHaveTheirOwnNumbers) {
    auto slow = finished("a", RunStatus::failed, 300);
    slow.image_source = "busybox";
    slow.labels = {{"team", "search"}};
    slow.phases.boot_ms = 12.5;
    slow.usage.peak_memory_bytes = 1000;
    insert(slow);
    auto lost = finished("b", RunStatus::lost, 100);
    lost.image_source = "busybox";
    lost.finished_at.reset();
    insert(lost);
    auto other = finished("c", RunStatus::succeeded, 100);
    other.image_source = "alpine";
    insert(other);
    auto stopped = finished("d", RunStatus::stopped, 50);
    stopped.image_source = "busybox";
    insert(stopped);

    auto by_image = stats({"image"});
    ASSERT_EQ(by_image.size(), 2u);
    EXPECT_THAT(by_image[0].keys, ElementsAre("busybox"));
    EXPECT_EQ(by_image[0].runs, 3u);
    EXPECT_EQ(by_image[0].failed, 1u);
    EXPECT_EQ(by_image[0].lost, 1u);
    EXPECT_EQ(by_image[0].stopped, 1u);
    EXPECT_DOUBLE_EQ(*by_image[0].failure_rate(), 2.0 / 3);
    EXPECT_EQ(by_image[0].duration_ms, (Spread{2, 50, 300, 300}));
    EXPECT_EQ(by_image[0].boot_ms, (Spread{1, 12.5, 12.5, 12.5}));
    EXPECT_EQ(by_image[0].memory_bytes, (Spread{1, 1000, 1000, 1000}));
    auto by_label = stats({"label:team", "reason"});
    ASSERT_EQ(by_label.size(), 3u);
    EXPECT_THAT(by_label[0].keys, ElementsAre(std::nullopt, "timeout"));
    EXPECT_THAT(by_label[1].keys, ElementsAre(std::nullopt, "exited"));
    EXPECT_THAT(by_label[2].keys, ElementsAre("search", "timeout"));
    RunFilter failed;
    failed.failed = true;
    failed.labels = {{"team", "search"}};
    EXPECT_EQ(stats({"status"}, failed).size(), 1u);
}

TEST_F(HistoryStoreTest, DaysAreThoseOfUtcInTheirOrder) {
    auto run = finished("a", RunStatus::succeeded, 1);
    for (const auto& [id, time] : {std::pair{"x", "2024-02-29T23:59:59.999Z"},
                                   {"y", "2024-03-01T00:00:00Z"},
                                   {"z", "2024-03-01T10:00:00Z"},
                                   {"before", "1969-12-31T23:59:59Z"}}) {
        run.id = id;
        run.created_at = value_of(parse_rfc3339(time));
        insert(run);
    }
    auto days = stats({"day"});
    ASSERT_EQ(days.size(), 3u);
    EXPECT_THAT(days[1].keys, ElementsAre("2024-02-29"));
    EXPECT_THAT(days[2].keys, ElementsAre("2024-03-01"));
    EXPECT_EQ(days[2].runs, 2u);
}

TEST_F(HistoryStoreTest, WrongKeysAreRefused) {
    auto wrong = History(store()).stats({}, std::vector<std::string>{"imgae"});
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, ErrorCode::bad_input);
    EXPECT_THAT(wrong.error().message, HasSubstr("cannot group by \"imgae\": did you mean image?"));
    EXPECT_FALSE(History(store()).stats({}, std::vector<std::string>{"label:"}));
    EXPECT_FALSE(History(store()).stats({}, std::vector<std::string>(9, "name")));
    auto injected = History(store()).stats({}, std::vector<std::string>{"label:' OR 1=1 --"});
    EXPECT_TRUE(injected);
}

TEST_F(HistoryStoreTest, EveryRunIsVisitedInOrderUntilTold) {
    for (int i = 0; i < 600; ++i) insert(finished("r" + std::to_string(1000 + i), RunStatus::succeeded, 1));
    RunFilter all;
    all.limit = 0;
    std::vector<std::string> seen;
    ASSERT_OK(History(store()).each_run(all, [&](const RunRecord& run) {
        seen.push_back(run.id);
        return true;
    }));
    ASSERT_EQ(seen.size(), 600u);
    EXPECT_EQ(seen.front(), "r1599");
    EXPECT_EQ(seen.back(), "r1000");
    int visited = 0;
    ASSERT_OK(History(store()).each_run(all, [&](const RunRecord&) { return ++visited < 300; }));
    EXPECT_EQ(visited, 300);
}

TEST_F(HistoryStoreTest, ValuesComeInTheOrderOfTheFields) {
    auto run = full_run("full");
    run.labels = {{"a\"b", "x"}};
    insert(run);
    int rows = 0;
    ASSERT_OK(History(store()).each_values({}, [&](std::span<const SqlValue> values) {
        EXPECT_EQ(values.size(), 44u);
        EXPECT_EQ(values[0], SqlValue("full"));
        EXPECT_EQ(values[10], SqlValue(format_rfc3339(run.created_at)));
        EXPECT_EQ(values[values.size() - 1], SqlValue("{\"a\\\"b\":\"x\"}"));
        return ++rows > 0;
    }));
    EXPECT_EQ(rows, 1);
}

TEST_F(HistoryStoreTest, OnlyWhatIsOverCanBeForgotten) {
    insert(new_run("running", "x", 5000));
    insert(finished("done", RunStatus::succeeded, 1));
    Batches batches(store());
    for (auto status : {BatchStatus::running, BatchStatus::interrupted, BatchStatus::failed}) {
        std::string id(to_string(status));
        BatchRecord batch;
        batch.id = "batch-" + id;
        batch.name = id;
        batch.groups = {"g"};
        batch.jobs = 1;
        batch.created_at = instant(0);
        auto writer = value_of(batches.create(batch.id));
        JobRecord job;
        job.name = "j";
        ASSERT_OK(writer.add(job, "schema = 1\n"));
        ASSERT_OK(writer.commit(batch));
        ProcessIdentity self{1, 2, "boot"};
        ASSERT_OK(batches.take(batch.id, self, [](const ProcessIdentity&) { return false; }));
        if (status != BatchStatus::running) ASSERT_OK(batches.release(batch.id, self, status));
        auto run = finished("of-" + id, RunStatus::failed, 1);
        run.batch = batch.id;
        insert(run);
    }
    History history(store());
    std::vector<std::string> ids;
    for (const auto& one : value_of(history.forgettable({}))) ids.push_back(one.id);
    EXPECT_THAT(ids, ElementsAre("of-failed", "done"));
    // What became of them since they were listed is looked at again.
    std::vector<std::string> wanted{"running", "done", "of-running", "of-interrupted", "of-failed", "nobody"};
    EXPECT_EQ(value_of(history.forget(wanted)), 2u);
    EXPECT_FALSE(value_of(store().get_run("done")));
    for (const char* id : {"running", "of-running", "of-interrupted"}) EXPECT_TRUE(value_of(store().get_run(id))) << id;
    RunFilter named;
    named.name_glob = "x";
    EXPECT_THAT(value_of(history.forgettable(named)), IsEmpty());
}

TEST_F(HistoryStoreTest, WordsOfTheOutputFindTheirRuns) {
    for (const char* id : {"a", "b", "c"}) insert(finished(id, RunStatus::failed, 1));
    History history(store());
    ASSERT_OK(history.index_output("a", "Connection refused: db_main:5432\nretrying"));
    ASSERT_OK(history.index_output("b", "connection accepted\nrefused later \xC3\xA9t\xC3\xA9"));
    EXPECT_THAT(found("connection"), ElementsAre("b", "a"));
    EXPECT_THAT(found("CONNECTION refused"), ElementsAre("a"));
    EXPECT_THAT(found("db_main:5432"), ElementsAre("a"));
    EXPECT_THAT(found("\xC3\xA9t\xC3\xA9"), ElementsAre("b"));
    EXPECT_THAT(found("nothing"), IsEmpty());
    // FTS5's own language is text like any other.
    EXPECT_THAT(found("refused OR accepted"), IsEmpty());
    EXPECT_THAT(found("\"connection\" NOT x*"), IsEmpty());
    EXPECT_THAT(found("\"connection\""), ElementsAre("b", "a"));
    ASSERT_OK(history.index_output("a", "replaced"));
    EXPECT_THAT(found("connection"), ElementsAre("b"));
    EXPECT_EQ(history.index_output("nobody", "x").error().code, ErrorCode::not_found);

    RunFilter filter;
    filter.grep = "connection";
    filter.failed = true;
    filter.labels = {{"team", "x"}};
    EXPECT_THAT(value_of(store().list_runs(filter)), IsEmpty());
    filter.labels.clear();
    filter.sort = {"duration"};
    EXPECT_EQ(value_of(store().list_runs(filter)).size(), 1u);
    EXPECT_EQ(value_of(history.stats(filter, std::vector<std::string>{"name"})).size(), 1u);
}

TEST_F(HistoryStoreTest, ForgottenRunsAreNotFoundByTheirWords) {
    insert(finished("a", RunStatus::failed, 1));
    History history(store());
    ASSERT_OK(history.index_output("a", "secret words"));
    ASSERT_OK(history.forget(std::vector<std::string>{"a"}));
    // The next row may get the freed key.
    insert(finished("b", RunStatus::failed, 1));
    EXPECT_THAT(found("secret"), IsEmpty());
    EXPECT_EQ(value_of(store().check()), "");
}

}  // namespace
}  // namespace vmette::store
