#include "store/condition.h"

#include <gmock/gmock.h>

#include "store/run_query.h"
#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr WallTime kNow = WallTime(std::chrono::milliseconds(1'700'000'000'000 + 86'400'000));

class ConditionTest : public OpenStoreTest {
protected:
    void SetUp() override {
        OpenStoreTest::SetUp();
        if (HasFatalFailure()) return;
        RunRecord fast = full_run("fast");
        fast.name = "build";
        fast.labels = {{"team", "search"}, {"a-b/c", "1"}};
        fast.created_at = instant(0);
        fast.finished_at = instant(900);
        fast.memory_mib = 512;
        fast.usage.peak_memory_bytes = 100 << 20;
        fast.phases.boot_ms = 99.5;
        fast.reason = "exited";
        fast.exit_code = 0;
        fast.warm = true;
        RunRecord slow = full_run("slow");
        slow.name = "Train \"it\"";
        slow.labels = {};
        slow.created_at = instant(1000);
        slow.finished_at = instant(61'000);
        slow.memory_mib = 2048;
        slow.usage.peak_memory_bytes = 1536ULL << 20;
        slow.phases.boot_ms.reset();
        slow.reason = "timeout";
        slow.exit_code = 124;
        slow.warm = false;
        RunRecord young = new_run("young", "young", 2000);
        for (const auto& run : {fast, slow, young}) ASSERT_OK(store().insert_run(run));
    }

    /// The ids of the runs for which it holds, oldest first; or what is wrong.
    std::vector<std::string> holding(std::string_view text) {
        auto condition = parse_condition(text, kNow);
        if (!condition) return {condition.error().message};
        RunFilter filter;
        filter.where = *std::move(condition);
        filter.sort = {"+created"};
        std::vector<std::string> ids;
        for (const auto& run : value_of(store().list_runs(filter))) ids.push_back(run.id);
        return ids;
    }

    static ConditionProblem problem(std::string_view text) {
        auto condition = parse_condition(text, kNow);
        EXPECT_FALSE(condition) << text;
        return condition ? ConditionProblem{} : condition.error();
    }
};

TEST_F(ConditionTest, FieldsAreComparedInTheirUnits) {
    EXPECT_THAT(holding("duration_ms > 1000"), ElementsAre("slow"));
    EXPECT_THAT(holding("duration > 59s and duration <= 1m"), ElementsAre("slow"));
    EXPECT_THAT(holding("duration < 1.5s"), ElementsAre("fast"));
    EXPECT_THAT(holding("phases.boot_ms >= 99.5"), ElementsAre("fast"));
    EXPECT_THAT(holding("boot > 99.5ms"), IsEmpty());
    EXPECT_THAT(holding("memory_mib >= 2G"), ElementsAre("slow"));
    EXPECT_THAT(holding("memory = 512"), ElementsAre("fast"));
    EXPECT_THAT(holding("peak_memory > 1.4GiB"), ElementsAre("slow"));
    EXPECT_THAT(holding("usage.peak_memory_bytes = 104857600"), ElementsAre("fast"));
    EXPECT_THAT(holding("peak_memory = 100MB"), ElementsAre("fast"));
}

TEST_F(ConditionTest, TimesAreInstantsOrAgo) {
    EXPECT_THAT(holding("created_at >= now - 1d"), ElementsAre("fast", "slow", "young"));
    EXPECT_THAT(holding("created > now - 86399s"), ElementsAre("young"));
    EXPECT_THAT(holding("created <= \"2023-11-14T22:13:21Z\""), ElementsAre("fast", "slow"));
    EXPECT_THAT(holding("created > '2023-11-15'"), IsEmpty());
}

TEST_F(ConditionTest, TextsAreComparedListedAndMatched) {
    EXPECT_THAT(holding("name = 'build'"), ElementsAre("fast"));
    EXPECT_THAT(holding(R"(name = "Train \"it\"")"), ElementsAre("slow"));
    EXPECT_THAT(holding("name in ('build', 'young', 'other')"), ElementsAre("fast", "young"));
    EXPECT_THAT(holding("name not in ('build')"), ElementsAre("slow", "young"));
    EXPECT_THAT(holding("name like 'TRAIN%'"), ElementsAre("slow"));
    EXPECT_THAT(holding("name glob 'TRAIN*'"), IsEmpty());
    EXPECT_THAT(holding("name not glob '[by]*'"), ElementsAre("slow"));
    EXPECT_THAT(holding("exit_code in (0, 124)"), ElementsAre("fast", "slow"));
}

TEST_F(ConditionTest, LabelsAreFields) {
    EXPECT_THAT(holding("labels.team = 'search'"), ElementsAre("fast"));
    EXPECT_THAT(holding("labels.a-b/c = '1'"), ElementsAre("fast"));
    EXPECT_THAT(holding("labels.\"team\" != 'search'"), ElementsAre("slow", "young"));
    EXPECT_THAT(holding("labels.team = null"), ElementsAre("slow", "young"));
    EXPECT_THAT(holding("labels.' OR 1=1' = '--'"), IsEmpty());
}

TEST_F(ConditionTest, WhatIsNotThereIsOnlyUnequal) {
    EXPECT_THAT(holding("reason = null"), ElementsAre("young"));
    EXPECT_THAT(holding("reason != null"), ElementsAre("fast", "slow"));
    EXPECT_THAT(holding("reason != 'exited'"), ElementsAre("slow", "young"));
    EXPECT_THAT(holding("duration < 1h"), ElementsAre("fast", "slow"));
    EXPECT_THAT(holding("not duration < 1h"), ElementsAre("young"));
    EXPECT_THAT(holding("not (not duration < 1h)"), ElementsAre("fast", "slow"));
}

TEST_F(ConditionTest, AndBindsTighterThanOrAndNotTightest) {
    EXPECT_THAT(holding("name = 'young' or name = 'build' and exit_code = 124"), ElementsAre("young"));
    EXPECT_THAT(holding("(name = 'young' or name = 'build') and exit_code = 0"), ElementsAre("fast"));
    EXPECT_THAT(holding("NOT warm = true AND exit_code = 124"), ElementsAre("slow"));
    EXPECT_THAT(holding("warm"), ElementsAre("fast"));
    EXPECT_THAT(holding("not warm"), ElementsAre("slow", "young"));
}

TEST_F(ConditionTest, ProblemsNameThePlaceAndTheNearestField) {
    auto found = problem("status = 'failed' and duratoin_ms > 3");
    EXPECT_EQ(found.message, "there is no field \"duratoin_ms\"; did you mean duration_ms?");
    EXPECT_EQ(found.offset, 22u);
    EXPECT_EQ(found.length, 11u);
    EXPECT_EQ(show_problem("status = 'failed' and duratoin_ms > 3", found),
              "  status = 'failed' and duratoin_ms > 3\n"
              "                        ^^^^^^^^^^^\n");
    struct Case {
        std::string_view text, message;
        std::size_t offset;
    };
    const Case cases[] = {
        {"", "the name of a field is expected here", 0},
        {"name", "a comparison is expected", 4},
        {"name = build", "name is a text: write the value in quotes", 7},
        {"name = 'x", "no closing quote", 7},
        {"duration > 3G", "duration is a duration", 11},
        {"peak_memory > 3h", "peak_memory is a size", 14},
        {"exit_code = 1s", "exit_code is a number", 12},
        {"created > 7d", "created is a time", 10},
        {"created > now - 7", "a duration is expected", 16},
        {"duration > now", "duration is no time", 11},
        {"warm = 1", "warm is true or false", 7},
        {"exit_code like '1%'", "exit_code is no text", 15},
        {"exit_code > null", "null can be asked for with = and != alone", 12},
        {"(warm", "a closing parenthesis is expected here", 5},
        {"warm warm", "\"and\" or \"or\" is expected before this", 5},
        {"name in 'x'", "a list in parentheses", 8},
        {"name in ('x' 'y')", "a comma or a closing parenthesis", 13},
        {"name = 'x'; drop table runs", "unexpected ';'", 10},
        {"labels. = 'x'", "the name of a label is expected", 0},
        {"exit_code = 99999999999999999999999", "the number is too large", 12},
        {"name = '\xff'", "the text is not valid UTF-8", 7},
    };
    for (const auto& [text, message, offset] : cases) {
        auto one = problem(text);
        EXPECT_THAT(one.message, HasSubstr(message)) << text;
        EXPECT_EQ(one.offset, offset) << text;
        EXPECT_THAT(show_problem(text, one), Not(HasSubstr("\xff"))) << text;
    }
}

TEST_F(ConditionTest, CostIsBounded) {
    EXPECT_THAT(problem(std::string(4001, ' ')).message, HasSubstr("at most 4000 bytes"));
    EXPECT_THAT(problem(std::string(41, '(') + "warm" + std::string(41, ')')).message, HasSubstr("more than 40 deep"));
    std::string list = "exit_code in (0";
    for (int i = 0; i < 200; ++i) list += ",1";
    EXPECT_THAT(problem(list + ")").message, HasSubstr("at most 200 values"));
    std::string deep = "warm";
    for (int i = 0; i < 39; ++i) deep = "(" + deep + " or warm)";
    EXPECT_THAT(holding(deep), ElementsAre("fast"));
    std::string nots;
    for (int i = 0; i < 39; ++i) nots += "not ";
    EXPECT_THAT(holding(nots + "warm"), ElementsAre("slow", "young"));
    std::string wide = "warm";
    while (wide.size() < 3990) wide += " or warm";
    EXPECT_THAT(holding(wide), ElementsAre("fast"));
}

TEST_F(ConditionTest, ValuesNeverBecomeSql) {
    auto condition = parse_condition("name = 'x'' OR 1' or labels.k = \"');DROP\" or boot > 12.5", kNow);
    EXPECT_FALSE(condition);  // no doubled quotes
    condition = parse_condition("name = \"x' OR 1\" or labels.\"');DROP\" = 'y'", kNow);
    ASSERT_TRUE(condition);
    std::vector<SqlValue> arguments;
    EXPECT_EQ(
        condition_sql(*condition, arguments),
        "(runs.name = ?) OR ((SELECT own.value FROM run_labels AS own WHERE own.run = runs.key AND own.label = ?) "
        "= ?)");
    EXPECT_THAT(arguments, ElementsAre(SqlValue("x' OR 1"), SqlValue("');DROP"), SqlValue("y")));
}

}  // namespace
}  // namespace vmette::store
