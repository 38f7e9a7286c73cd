#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using RunsTest = OpenStoreTest;

TEST_F(RunsTest, RunComesBackAsItWasWritten) {
    RunRecord run = full_run("01aa");
    ASSERT_OK(store().insert_run(run));
    auto found = store().get_run("01aa");
    ASSERT_OK(found);
    ASSERT_TRUE(found->has_value());
    EXPECT_EQ(**found, run);
}

TEST_F(RunsTest, AbsentValuesComeBackAbsent) {
    RunRecord run = new_run("01aa", "");
    ASSERT_OK(store().insert_run(run));
    auto found = store().get_run("01aa");
    ASSERT_OK(found);
    EXPECT_EQ(**found, run);
}

TEST_F(RunsTest, RunThatIsNotThereIsNoError) {
    auto found = store().get_run("01aa");
    ASSERT_OK(found);
    EXPECT_FALSE(found->has_value());
}

TEST_F(RunsTest, SecondRunOfTheSameIdIsRefusedAndChangesNothing) {
    ASSERT_OK(store().insert_run(full_run("01aa")));
    auto again = store().insert_run(new_run("01aa", "other"));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::internal);
    EXPECT_EQ(again.error().message, "the history already has a run 01aa");
    EXPECT_EQ(**store().get_run("01aa"), full_run("01aa"));
}

TEST_F(RunsTest, UpdateWritesEveryField) {
    ASSERT_OK(store().insert_run(new_run("01aa")));
    RunRecord full = full_run("01aa");
    ASSERT_OK(store().update_run(full));
    EXPECT_EQ(**store().get_run("01aa"), full);
    // And takes every one of them back.
    RunRecord bare = new_run("01aa");
    ASSERT_OK(store().update_run(bare));
    EXPECT_EQ(**store().get_run("01aa"), bare);
}

TEST_F(RunsTest, UpdateTouchesNoOtherRun) {
    ASSERT_OK(store().insert_run(full_run("01aa")));
    ASSERT_OK(store().insert_run(full_run("01ab")));
    ASSERT_OK(store().update_run(new_run("01aa")));
    EXPECT_EQ(**store().get_run("01ab"), full_run("01ab"));
}

TEST_F(RunsTest, UpdateOfAnUnknownRunIsNotFound) {
    auto updated = store().update_run(new_run("01zz"));
    ASSERT_FALSE(updated);
    EXPECT_EQ(updated.error().code, ErrorCode::not_found);
    EXPECT_EQ(updated.error().message, "the history has no run 01zz");
}

TEST_F(RunsTest, TextsKeepBytesThatNoEncodingAllows) {
    RunRecord run = new_run("01aa");
    run.error = std::string("a\0b\xFF\xFE", 5);
    run.labels["bad\xC3"] = "\x80";
    run.log_stdout = "/tmp/\xE9t\xE9.log";
    ASSERT_OK(store().insert_run(run));
    EXPECT_EQ(**store().get_run("01aa"), run);
}

TEST_F(RunsTest, CountsBeyondTheDatabasesIntegersAreHeldAtItsLargest) {
    RunRecord run = new_run("01aa");
    run.usage.stdout_bytes = ~0ULL;
    ASSERT_OK(store().insert_run(run));
    EXPECT_EQ((*store().get_run("01aa"))->usage.stdout_bytes, 0x7FFF'FFFF'FFFF'FFFFULL);
}

TEST_F(RunsTest, RunIsFoundByIdInEitherCase) {
    ASSERT_OK(store().insert_run(full_run("01hf7yat00aaaa")));
    auto found = store().find_run("01HF7YAT00AAAA");
    ASSERT_OK(found);
    EXPECT_EQ(*found, full_run("01hf7yat00aaaa"));
}

TEST_F(RunsTest, RunIsFoundByAnyUniquePrefix) {
    ASSERT_OK(store().insert_run(new_run("01aa")));
    ASSERT_OK(store().insert_run(new_run("02ab")));
    for (const char* prefix : {"02", "02a", "02ab", "02A"}) {
        auto found = store().find_run(prefix);
        ASSERT_OK(found);
        EXPECT_EQ(found->id, "02ab") << prefix;
    }
}

TEST_F(RunsTest, PrefixThatSeveralIdsShareIsRefusedWithThem) {
    for (const char* id : {"01a", "01b", "01c"}) ASSERT_OK(store().insert_run(new_run(id)));
    auto found = store().find_run("0");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::bad_input);
    EXPECT_EQ(found.error().message, "\"0\" is the beginning of several ids: 01c, 01b, 01a");
}

TEST_F(RunsTest, AtMostFiveIdsAreListedForAPrefix) {
    for (char c = 'a'; c <= 'h'; ++c) ASSERT_OK(store().insert_run(new_run(std::string("01") + c)));
    auto found = store().find_run("01");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().message, "\"01\" is the beginning of several ids: 01h, 01g, 01f, 01e, 01d, …");
}

TEST_F(RunsTest, NameMeansItsNewestRun) {
    ASSERT_OK(store().insert_run(new_run("01a", "web", 10)));
    ASSERT_OK(store().insert_run(new_run("01b", "web", 30)));
    ASSERT_OK(store().insert_run(new_run("01c", "web", 20)));
    auto found = store().find_run("web");
    ASSERT_OK(found);
    EXPECT_EQ(found->id, "01b");
}

TEST_F(RunsTest, WholeIdWinsOverNameAndNameOverPrefix) {
    ASSERT_OK(store().insert_run(new_run("01a", "x")));
    ASSERT_OK(store().insert_run(new_run("01b", "01a")));
    ASSERT_OK(store().insert_run(new_run("01c", "01")));
    EXPECT_EQ(store().find_run("01a")->id, "01a");
    EXPECT_EQ(store().find_run("01")->id, "01c");
}

TEST_F(RunsTest, UnknownIdOrNameIsNotFoundAndShownHarmless) {
    auto found = store().find_run("no\x1b[2Jpe");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::not_found);
    EXPECT_EQ(found.error().message, "no run has the id or the name \"no\\x1b[2Jpe\"");
}

TEST_F(RunsTest, PatternCharactersMeanThemselvesInAPrefix) {
    ASSERT_OK(store().insert_run(new_run("01a")));
    for (const char* word : {"%", "*", "_1a", "0_", "0%"})
        EXPECT_EQ(store().find_run(word).error().code, ErrorCode::not_found) << word;
}

TEST_F(RunsTest, NothingIsFoundByNothing) {
    ASSERT_OK(store().insert_run(new_run("01a", "")));
    auto found = store().find_run("");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::bad_input);
    EXPECT_EQ(found.error().message, "expected the id or the name of a run");
}

TEST_F(RunsTest, RunningRunsAreThoseThatRun) {
    RunRecord first = new_run("01a", "x", 1), second = new_run("01b", "y", 2);
    first.owner = {7, 70, "boot"};
    ASSERT_OK(store().insert_run(first));
    ASSERT_OK(store().insert_run(second));
    ASSERT_OK(store().insert_run(full_run("01c")));
    auto running = store().running_runs();
    ASSERT_OK(running);
    ASSERT_EQ(running->size(), 2u);
    EXPECT_EQ((*running)[0].id, "01b");
    EXPECT_EQ((*running)[1], first);
}

TEST_F(RunsTest, RunningRunBecomesLostOnce) {
    ASSERT_OK(store().insert_run(new_run("01a")));
    EXPECT_EQ(store().mark_lost("01a", "its vmette is gone").value(), true);
    RunRecord lost = **store().get_run("01a");
    EXPECT_EQ(lost.status, RunStatus::lost);
    EXPECT_EQ(lost.reason, "lost");
    EXPECT_EQ(lost.error, "its vmette is gone");
    EXPECT_FALSE(lost.finished_at.has_value());
    EXPECT_FALSE(lost.started_before_failure);
    EXPECT_EQ(store().mark_lost("01a", "again").value(), false);
    EXPECT_EQ((*store().get_run("01a"))->error, "its vmette is gone");
}

TEST_F(RunsTest, LostRunWhoseCommandHadBegunSaysSo) {
    RunRecord run = new_run("01a");
    run.started_at = instant(3);
    ASSERT_OK(store().insert_run(run));
    ASSERT_TRUE(store().mark_lost("01a", "gone").value());
    EXPECT_TRUE((*store().get_run("01a"))->started_before_failure);
}

TEST_F(RunsTest, RunThatEndedIsNotLost) {
    ASSERT_OK(store().insert_run(full_run("01a")));
    EXPECT_EQ(store().mark_lost("01a", "gone").value(), false);
    EXPECT_EQ(store().mark_lost("nobody", "gone").value(), false);
    EXPECT_EQ(**store().get_run("01a"), full_run("01a"));
}

TEST_F(RunsTest, OwnerOverwritesWhatOthersTookForLost) {
    ASSERT_OK(store().insert_run(new_run("01aa")));
    ASSERT_TRUE(store().mark_lost("01aa", "gone").value());
    ASSERT_OK(store().update_run(full_run("01aa")));
    EXPECT_EQ(**store().get_run("01aa"), full_run("01aa"));
}

TEST_F(RunsTest, StatusNamesAreReadBack) {
    for (RunStatus status :
         {RunStatus::running, RunStatus::succeeded, RunStatus::failed, RunStatus::stopped, RunStatus::lost})
        EXPECT_EQ(parse_run_status(to_string(status)), status);
    EXPECT_EQ(parse_run_status("Running"), std::nullopt);
    EXPECT_EQ(parse_run_status(""), std::nullopt);
}

}  // namespace
}  // namespace vmette::store
