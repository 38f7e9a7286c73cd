#include "store/sql_query.h"

#include <gmock/gmock.h>

#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SqlQueryTest : public OpenStoreTest {
protected:
    void SetUp() override {
        OpenStoreTest::SetUp();
        if (HasFatalFailure()) return;
        auto run = full_run("one");
        run.name = "build";
        run.labels = {{"team", "search"}};
        run.created_at = instant(123);
        run.finished_at = instant(1123);
        ASSERT_OK(store().insert_run(run));
        ASSERT_OK(store().insert_run(new_run("two", "test", 5000)));
    }
    Result<SqlResult> ask(std::string_view sql, const SqlLimits& limits = {}) {
        rows_.clear();
        return run_sql(path(), sql, limits, [&](const SqlResult&, std::span<const SqlValue> values) {
            rows_.emplace_back(values.begin(), values.end());
            return true;
        });
    }
    std::string refusal(std::string_view sql) {
        auto result = ask(sql);
        EXPECT_FALSE(result) << sql;
        EXPECT_THAT(rows_, ::testing::IsEmpty()) << sql;
        if (result) return {};
        EXPECT_EQ(result.error().code, ErrorCode::bad_input) << sql;
        return result.error().message;
    }

    std::vector<std::vector<SqlValue>> rows_;
};

TEST_F(SqlQueryTest, ViewsAreThere) {
    auto result = ask("SELECT id, created_at, duration_ms, exit_code FROM runs ORDER BY created_at");
    ASSERT_OK(result);
    EXPECT_THAT(result->columns, ElementsAre("id", "created_at", "duration_ms", "exit_code"));
    ASSERT_EQ(rows_.size(), 2u);
    EXPECT_EQ(rows_[0][0], SqlValue("one"));
    EXPECT_EQ(rows_[0][1], SqlValue("2023-11-14T22:13:20.123Z"));
    EXPECT_EQ(rows_[0][2], SqlValue(std::int64_t{1000}));
    EXPECT_EQ(rows_[1][3], SqlValue());
    for (const SqlView& view : sql_views()) {
        EXPECT_TRUE(ask(fmt::format("SELECT * FROM {}", view.name))) << view.name;
        EXPECT_TRUE(ask(fmt::format("SELECT count(*) FROM {}", view.name))) << view.name;
        EXPECT_TRUE(ask(fmt::format("SELECT count(*) FROM (SELECT DISTINCT * FROM {}) AS x", view.name))) << view.name;
    }
    ASSERT_OK(ask("SELECT runs.name FROM runs JOIN labels AS l ON l.run_id = id WHERE l.value = 'search'"));
    EXPECT_THAT(rows_, ElementsAre(ElementsAre(SqlValue("build"))));
    ASSERT_OK(ask("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) FROM n;  "));
    EXPECT_THAT(rows_, ElementsAre(ElementsAre(SqlValue(std::int64_t{6}))));
    ASSERT_OK(ask("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT count(*) FROM n"));
    EXPECT_THAT(rows_, ElementsAre(ElementsAre(SqlValue(std::int64_t{3}))));
    ASSERT_OK(ask("SELECT name, count(*) OVER (PARTITION BY name) FROM runs GROUP BY name HAVING count(*) > 0"));
}

TEST_F(SqlQueryTest, NothingElseIsSeen) {
    for (const char* sql :
         {"SELECT manifest FROM run_manifests", "SELECT * FROM main.runs", "SELECT owner_pid FROM main.runs",
          "SELECT * FROM ledger", "SELECT * FROM sqlite_schema", "SELECT sql FROM main.sqlite_master",
          "SELECT * FROM pragma_table_info('runs')", "SELECT * FROM dbstat", "SELECT * FROM run_outputs",
          "SELECT * FROM run_outputs_content", "SELECT value FROM facts",
          // A part of the question with a view's name is not that view.
          "WITH runs AS (SELECT * FROM ledger) SELECT * FROM runs",
          "WITH labels AS (SELECT owner_pid FROM main.runs) SELECT * FROM labels",
          "WITH runs AS (SELECT manifest FROM run_manifests) SELECT * FROM runs",
          "SELECT (SELECT manifest FROM run_manifests LIMIT 1) FROM runs",
          "SELECT * FROM (SELECT log_stdout FROM main.runs) AS runs",
          "SELECT id FROM runs WHERE EXISTS (SELECT 1 FROM ledger WHERE run_id = id)", "SELECT count(*) FROM ledger",
          "SELECT count(*) FROM Run_Manifests", "SELECT count(*) FROM sqlite_schema", "SELECT count(*) FROM dbstat",
          "SELECT count(*) FROM run_outputs", "SELECT 1 FROM pragma_database_list"})
        EXPECT_THAT(refusal(sql), HasSubstr("may only read the views")) << sql;
    EXPECT_THAT(refusal("SELECT owner_pid FROM runs"), HasSubstr("no such column: owner_pid"));
}

TEST_F(SqlQueryTest, NothingIsChanged) {
    for (const char* sql : {"DELETE FROM runs",
                            "DELETE FROM main.runs",
                            "UPDATE main.runs SET name = 'x'",
                            "INSERT INTO main.facts VALUES ('a', 'b', 1)",
                            "DROP TABLE main.runs",
                            "CREATE TABLE x (y)",
                            "CREATE TEMP TABLE x AS SELECT 1",
                            "DROP VIEW temp.runs",
                            "PRAGMA query_only = 0",
                            "PRAGMA user_version",
                            "ATTACH ':memory:' AS x",
                            "ATTACH '/etc/passwd' AS x",
                            "BEGIN",
                            "VACUUM",
                            "VACUUM INTO '/tmp/x'",
                            "REINDEX",
                            "ANALYZE",
                            "SELECT load_extension('x')",
                            "CREATE VIRTUAL TABLE temp.x USING fts5(y)",
                            "CREATE TRIGGER temp.t INSTEAD OF INSERT ON runs BEGIN SELECT 1; END",
                            "EXPLAIN DELETE FROM main.runs"})
        refusal(sql);
    auto run = value_of(store().get_run("one"));
    ASSERT_TRUE(run);
    EXPECT_EQ(run->name, "build");
    EXPECT_EQ(value_of(store().check()), "");
}

TEST_F(SqlQueryTest, OneStatementIsTaken) {
    EXPECT_THAT(refusal("SELECT 1; SELECT 2"),
                HasSubstr("one statement alone is expected; what follows it is \" SELECT 2\""));
    EXPECT_EQ(refusal(""), "a SELECT is expected");
    EXPECT_EQ(refusal("-- nothing"), "a SELECT is expected");
    EXPECT_THAT(refusal("SELEC 1"), HasSubstr("syntax error"));
    EXPECT_THAT(refusal(std::string(70'000, ' ')), HasSubstr("at most 65535"));
    EXPECT_THAT(refusal("SELECT zeroblob(2000000)"), HasSubstr("too big"));
}

TEST_F(SqlQueryTest, TimeAndRowsAreBounded) {
    SqlLimits limits;
    limits.time = std::chrono::milliseconds(20);
    auto endless = ask("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", limits);
    ASSERT_FALSE(endless);
    EXPECT_EQ(endless.error().code, ErrorCode::timeout);
    EXPECT_THAT(endless.error().message, HasSubstr("longer than 0.02 s"));
    // Each level doubles what the planner must expand: the time is spent before the first step.
    std::string doubled = "WITH c0 AS (SELECT name FROM runs)";
    for (int i = 1; i < 24; ++i)
        doubled += fmt::format(", c{} AS (SELECT name FROM c{} UNION ALL SELECT name FROM c{})", i, i - 1, i - 1);
    auto expanded = ask(doubled + " SELECT count(*) FROM c23", limits);
    EXPECT_FALSE(expanded);
    limits = {};
    limits.rows = 5;
    auto cut = ask("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n", limits);
    ASSERT_OK(cut);
    EXPECT_EQ(cut->rows, 5u);
    EXPECT_TRUE(cut->cut);
    EXPECT_FALSE(value_of(ask("SELECT id FROM runs UNION ALL SELECT id FROM runs UNION ALL SELECT 1", limits)).cut);
}

}  // namespace
}  // namespace vmette::store
