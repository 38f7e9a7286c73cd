#include <gmock/gmock.h>

#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ListRunsTest : public OpenStoreTest {
protected:
    /// Five runs, oldest first: a … e.
    void SetUp() override {
        OpenStoreTest::SetUp();
        add("a", "web-1", 10, RunStatus::succeeded, "exited", 0, 500, 100);
        add("b", "web-2", 20, RunStatus::failed, "timeout", 124, 900, 300);
        add("c", "db", 30, RunStatus::stopped, "stopped", 130, 100, 200);
        add("d", "web-1", 40, RunStatus::lost, "lost", std::nullopt, std::nullopt, 0);
        add("e", "db", 50, RunStatus::running, "", std::nullopt, std::nullopt, 0);
    }

    void add(const std::string& id, const std::string& name, std::int64_t at, RunStatus status,
             const std::string& reason, std::optional<int> code, std::optional<int> lasted, std::uint64_t memory) {
        RunRecord run = new_run(id, name, at);
        run.status = status;
        run.reason = reason;
        run.exit_code = code;
        if (lasted) run.finished_at = instant(at + *lasted);
        if (lasted) run.phases.boot_ms = 1000.0 - *lasted;
        run.usage.peak_memory_bytes = memory;
        run.image_source = name == "db" ? "./rootfs" : "alpine:3." + std::to_string(at);
        run.batch = id == "b" || id == "c" ? "nightly" : "";
        run.labels["team"] = id < "c" ? "blue" : "red";
        if (id == "b") run.labels["flaky"] = "yes";
        run.manifest = "text";
        ASSERT_OK(store().insert_run(run));
    }

    std::vector<std::string> ids(const RunFilter& filter) {
        auto runs = store().list_runs(filter);
        EXPECT_TRUE(runs) << runs.error().text();
        std::vector<std::string> out;
        if (runs)
            for (const auto& run : *runs) out.push_back(run.id);
        return out;
    }
};

TEST_F(ListRunsTest, NewestFirstWithoutFilter) { EXPECT_THAT(ids({}), ElementsAre("e", "d", "c", "b", "a")); }

TEST_F(ListRunsTest, RunsOfOneInstantAreInOrderOfArrival) {
    for (const char* id : {"z1", "y2", "x3"}) add(id, "same", 60, RunStatus::running, "", {}, {}, 0);
    RunFilter filter;
    filter.limit = 3;
    EXPECT_THAT(ids(filter), ElementsAre("x3", "y2", "z1"));
}

TEST_F(ListRunsTest, SinceAndUntilIncludeTheirInstant) {
    RunFilter filter;
    filter.since = instant(20);
    filter.until = instant(40);
    EXPECT_THAT(ids(filter), ElementsAre("d", "c", "b"));
}

TEST_F(ListRunsTest, StatusReasonCodeAndBatch) {
    RunFilter status, reason, code, batch, failed;
    status.status = RunStatus::stopped;
    reason.reason = "timeout";
    code.exit_code = 0;
    batch.batch = "nightly";
    failed.failed = true;
    EXPECT_THAT(ids(status), ElementsAre("c"));
    EXPECT_THAT(ids(reason), ElementsAre("b"));
    EXPECT_THAT(ids(code), ElementsAre("a"));
    EXPECT_THAT(ids(batch), ElementsAre("c", "b"));
    EXPECT_THAT(ids(failed), ElementsAre("d", "b"));
}

TEST_F(ListRunsTest, GlobsMatchWholeNamesInTheirCase) {
    RunFilter name, image;
    name.name_glob = "web-[12]";
    EXPECT_THAT(ids(name), ElementsAre("d", "b", "a"));
    name.name_glob = "eb";
    EXPECT_THAT(ids(name), IsEmpty());
    name.name_glob = "WEB*";
    EXPECT_THAT(ids(name), IsEmpty());
    image.image_glob = "alpine:*";
    EXPECT_THAT(ids(image), ElementsAre("d", "b", "a"));
    image.image_glob = "?/rootfs";
    EXPECT_THAT(ids(image), ElementsAre("e", "c"));
}

TEST_F(ListRunsTest, EveryLabelMustHold) {
    RunFilter filter;
    filter.labels = {{"team", "blue"}};
    EXPECT_THAT(ids(filter), ElementsAre("b", "a"));
    filter.labels["flaky"] = "yes";
    EXPECT_THAT(ids(filter), ElementsAre("b"));
    filter.labels["flaky"] = "no";
    EXPECT_THAT(ids(filter), IsEmpty());
}

TEST_F(ListRunsTest, AllFiltersHoldTogether) {
    RunFilter filter;
    filter.since = instant(0);
    filter.until = instant(100);
    filter.status = RunStatus::failed;
    filter.reason = "timeout";
    filter.exit_code = 124;
    filter.failed = true;
    filter.name_glob = "web*";
    filter.image_glob = "alp*";
    filter.batch = "nightly";
    filter.labels = {{"team", "blue"}, {"flaky", "yes"}};
    EXPECT_THAT(ids(filter), ElementsAre("b"));
    filter.exit_code = 125;
    EXPECT_THAT(ids(filter), IsEmpty());
}

TEST_F(ListRunsTest, LimitCutsAndZeroDoesNot) {
    RunFilter filter;
    filter.limit = 2;
    EXPECT_THAT(ids(filter), ElementsAre("e", "d"));
    filter.limit = 0;
    EXPECT_EQ(ids(filter).size(), 5u);
}

TEST_F(ListRunsTest, SortsByEachKeyWithUnknownsLast) {
    auto sorted = [&](std::vector<std::string> keys) {
        RunFilter filter;
        filter.sort = std::move(keys);
        return ids(filter);
    };
    EXPECT_THAT(sorted({"created"}), ElementsAre("e", "d", "c", "b", "a"));
    EXPECT_THAT(sorted({"duration"}), ElementsAre("b", "a", "c", "e", "d"));
    EXPECT_THAT(sorted({"peak_memory"}), ElementsAre("b", "c", "a", "e", "d"));
    EXPECT_THAT(sorted({"boot"}), ElementsAre("c", "a", "b", "e", "d"));
    EXPECT_THAT(sorted({"exit_code"}), ElementsAre("c", "b", "a", "e", "d"));
    EXPECT_THAT(sorted({"name"}), ElementsAre("e", "c", "d", "a", "b"));
    EXPECT_THAT(sorted({"name", "peak_memory"}), ElementsAre("c", "e", "a", "d", "b"));
    EXPECT_THAT(sorted({"-created"}), ElementsAre("e", "d", "c", "b", "a"));
    EXPECT_THAT(sorted({"+created_at"}), ElementsAre("a", "b", "c", "d", "e"));
    EXPECT_THAT(sorted({"-name", "+peak_memory"}), ElementsAre("b", "d", "a", "e", "c"));
}

TEST_F(ListRunsTest, UnknownSortKeyIsRefusedWithTheNearest) {
    RunFilter filter;
    filter.sort = {"created", "durration"};
    auto runs = store().list_runs(filter);
    ASSERT_FALSE(runs);
    EXPECT_EQ(runs.error().code, ErrorCode::bad_input);
    EXPECT_EQ(runs.error().message, "cannot sort by \"durration\": there is no such field; did you mean duration?");
    filter.sort = {"created_at; DROP TABLE runs"};
    EXPECT_EQ(store().list_runs(filter).error().message,
              "cannot sort by \"created_at; DROP TABLE runs\": there is no such field");
    filter.sort = {"--created"};
    EXPECT_EQ(store().list_runs(filter).error().code, ErrorCode::bad_input);
    filter.sort.assign(17, "name");
    EXPECT_EQ(store().list_runs(filter).error().message, "at most 16 fields to sort by");
}

TEST_F(ListRunsTest, FilterTextsAreDataNotSql) {
    RunFilter filter;
    filter.reason = "' OR 1=1 --";
    EXPECT_THAT(ids(filter), IsEmpty());
    filter = {};
    filter.labels = {{"team' OR '1'='1", "blue"}};
    EXPECT_THAT(ids(filter), IsEmpty());
}

TEST_F(ListRunsTest, HugePatternIsRefused) {
    RunFilter filter;
    filter.name_glob = std::string(1001, '*');
    auto runs = store().list_runs(filter);
    ASSERT_FALSE(runs);
    EXPECT_EQ(runs.error().code, ErrorCode::bad_input);
    EXPECT_EQ(runs.error().message, "the pattern for the name has 1001 bytes: at most 1000 are allowed");
    filter.name_glob.clear();
    filter.image_glob = std::string(2000, '?');
    EXPECT_EQ(store().list_runs(filter).error().message,
              "the pattern for the image has 2000 bytes: at most 1000 are allowed");
}

TEST_F(ListRunsTest, ListedRunsAreWholeButForTheManifest) {
    RunRecord run = full_run("f");
    run.created_at = instant(1000);
    ASSERT_OK(store().insert_run(run));
    RunFilter filter;
    filter.limit = 1;
    auto runs = store().list_runs(filter);
    ASSERT_OK(runs);
    run.manifest.clear();
    EXPECT_THAT(*runs, ElementsAre(run));
}

}  // namespace
}  // namespace vmette::store
