#include <gmock/gmock.h>

#include "store/database.h"
#include "store/migrate.h"
#include "store/run_query.h"
#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// How SQLite would answer, as EXPLAIN QUERY PLAN has it: a long history must not be read as a whole for one page.
class QueryPlanTest : public StoreTest {
protected:
    void SetUp() override { ASSERT_OK(open()); }
    std::string plan(const RunFilter& filter) {
        SQLite::Database database(path().string(), SQLite::OPEN_READONLY);
        RunQuery query = value_of(query_of(filter));
        SQLite::Statement explain(database, "EXPLAIN QUERY PLAN " + query.sql);
        query.bind(explain);
        std::string lines;
        while (explain.executeStep()) lines += explain.getColumn(3).getString() + "\n";
        return lines;
    }
};

TEST_F(QueryPlanTest, NewestAreReadFromTheIndexOfTimes) {
    EXPECT_EQ(plan({}), "SCAN runs USING COVERING INDEX runs_by_time\n");
}

TEST_F(QueryPlanTest, EqualityLeadsAndItsIndexIsInTheOrderOfTime) {
    RunFilter status, reason, code, batch;
    status.status = RunStatus::failed;
    reason.reason = "timeout";
    code.exit_code = 1;
    batch.batch = "b";
    EXPECT_EQ(plan(status), "SEARCH runs USING COVERING INDEX runs_by_status (status=?)\n");
    EXPECT_EQ(plan(reason), "SEARCH runs USING COVERING INDEX runs_by_reason (reason=?)\n");
    EXPECT_EQ(plan(code), "SEARCH runs USING COVERING INDEX runs_by_exit_code (exit_code=?)\n");
    EXPECT_EQ(plan(batch), "SEARCH runs USING COVERING INDEX runs_by_batch (batch=?)\n");
    reason.since = instant(0);
    EXPECT_EQ(plan(reason), "SEARCH runs USING COVERING INDEX runs_by_reason (reason=? AND created_at>?)\n");
}

TEST_F(QueryPlanTest, LabelLeadsInTheOrderOfTime) {
    RunFilter filter;
    filter.labels = {{"team", "blue"}};
    EXPECT_THAT(plan(filter), HasSubstr("SEARCH led USING COVERING INDEX run_labels_by_value (label=? AND value=?)"));
    EXPECT_THAT(plan(filter), Not(HasSubstr("TEMP B-TREE")));
    filter.labels["ticket"] = "T-1";
    filter.status = RunStatus::failed;
    filter.since = instant(0);
    EXPECT_THAT(plan(filter), HasSubstr("run_labels_by_value (label=? AND value=? AND created_at>?)"));
    EXPECT_THAT(plan(filter), Not(HasSubstr("TEMP B-TREE")));
    EXPECT_THAT(plan(filter), Not(HasSubstr("SCAN")));
}

TEST_F(QueryPlanTest, OrdersOfNumbersAreReadFromTheirIndex) {
    for (const char* key : {"created", "duration", "peak_memory", "boot", "exit_code"}) {
        RunFilter filter;
        filter.sort = {key};
        EXPECT_THAT(plan(filter), HasSubstr("SCAN runs USING ")) << key;
        EXPECT_THAT(plan(filter), HasSubstr("INDEX runs_by_")) << key;
        EXPECT_THAT(plan(filter), Not(HasSubstr("TEMP B-TREE"))) << key;
    }
}

}  // namespace
}  // namespace vmette::store
