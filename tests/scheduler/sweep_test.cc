#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "base/process.h"
#include "scheduler/run.h"

namespace vmette::scheduler {
namespace {

/// A state of its own, and a process that stands for a vmette that died.
struct SweepTest : testing::Test {
    TempDir folder = *TempDir::make();
    Layout layout{folder.path() / "cache", folder.path() / "state", folder.path() / "run", folder.path() / "config"};
    SystemClock clock;
    store::Store store = *store::Store::open(layout.database(), clock);

    store::RunRecord add_run(const std::string& id, const ProcessIdentity& owner) {
        store::RunRecord run;
        run.id = id;
        run.name = "demo";
        run.created_at = clock.now();
        run.owner = owner;
        EXPECT_TRUE(store.insert_run(run));
        return run;
    }

    static ProcessIdentity dead_process() {
        auto process = spawn({.argv = {"sleep", "60"}});
        auto identity = identify_process(process->pid());
        process->kill();
        return *identity;
    }

    void owe(const std::string& run_id, store::LedgerKind kind, const std::filesystem::path& path,
             const ProcessIdentity& process = {}) {
        store::LedgerEntry entry;
        entry.run_id = run_id;
        entry.kind = kind;
        entry.path = path;
        entry.process = process;
        entry.what = "something";
        ASSERT_TRUE(store.ledger_add(entry));
    }
};

TEST_F(SweepTest, RunWhoseProcessIsGoneBecomesLost) {
    add_run("dead", dead_process());
    add_run("alive", own_identity());
    ASSERT_TRUE(sweep(layout, store, false));
    auto lost = store.get_run("dead");
    ASSERT_TRUE(lost && *lost);
    EXPECT_EQ((*lost)->status, store::RunStatus::lost);
    EXPECT_EQ((*lost)->reason, "lost");
    EXPECT_EQ((*lost)->error, "the vmette process that ran it is gone");
    EXPECT_EQ((*store.get_run("alive"))->status, store::RunStatus::running);
}

TEST_F(SweepTest, RemovesWhatADeadRunOwesAndLeavesTheLivingAlone) {
    add_run("dead", dead_process());
    add_run("alive", own_identity());
    for (const char* name : {"dead", "alive"}) {
        ASSERT_TRUE(make_private_dir(layout.live_dir(name)));
        std::ofstream(layout.live_dir(name) / "socket") << "12345";
        owe(name, store::LedgerKind::directory, layout.live_dir(name));
    }
    auto swept = sweep(layout, store, false);
    ASSERT_TRUE(swept);
    ASSERT_EQ(swept->size(), 1u);
    EXPECT_EQ(swept->front().run_id, "dead");
    EXPECT_EQ(swept->front().bytes, 5u);
    EXPECT_FALSE(std::filesystem::exists(layout.live_dir("dead")));
    EXPECT_TRUE(std::filesystem::exists(layout.live_dir("alive")));
    EXPECT_EQ(sweep(layout, store, false)->size(), 0u);
}

TEST_F(SweepTest, DryRunNamesEverythingAndChangesNothing) {
    add_run("dead", dead_process());
    ASSERT_TRUE(make_private_dir(layout.live_dir("dead")));
    owe("dead", store::LedgerKind::directory, layout.live_dir("dead"));
    auto swept = sweep(layout, store, true);
    ASSERT_TRUE(swept);
    EXPECT_EQ(swept->size(), 1u);
    EXPECT_TRUE(std::filesystem::exists(layout.live_dir("dead")));
    EXPECT_EQ((*store.get_run("dead"))->status, store::RunStatus::running);
}

TEST_F(SweepTest, KillsAProcessThatOutlivedItsRun) {
    auto child = spawn({.argv = {"sleep", "60"}});
    ASSERT_TRUE(child);
    add_run("dead", dead_process());
    owe("dead", store::LedgerKind::process, "", *identify_process(child->pid()));
    ASSERT_TRUE(sweep(layout, store, false));
    EXPECT_EQ(child->wait_for(std::chrono::seconds(5)), SIGKILL);
}

TEST_F(SweepTest, ReusedPidIsNotKilled) {
    auto child = spawn({.argv = {"sleep", "60"}});
    ASSERT_TRUE(child);
    add_run("dead", dead_process());
    auto other = *identify_process(child->pid());
    other.start_ticks -= 1;
    owe("dead", store::LedgerKind::process, "", other);
    ASSERT_TRUE(sweep(layout, store, false));
    EXPECT_EQ(child->wait_for(std::chrono::milliseconds(50)), std::nullopt);
}

TEST_F(SweepTest, NeverRemovesWhatLiesOutsideOfItsFolders) {
    auto outside = folder.path() / "precious";
    std::ofstream(outside) << "x";
    add_run("dead", dead_process());
    owe("dead", store::LedgerKind::file, outside);
    owe("dead", store::LedgerKind::directory, layout.state / ".." / "precious");
    owe("dead", store::LedgerKind::directory, layout.state);
    auto swept = sweep(layout, store, false);
    ASSERT_TRUE(swept);
    EXPECT_TRUE(std::filesystem::exists(outside));
    EXPECT_TRUE(std::filesystem::exists(layout.database()));
    ASSERT_EQ(swept->size(), 3u);
    for (const auto& left : *swept) EXPECT_EQ(left.problem, "it lies outside of vmette's folders");
}

}  // namespace
}  // namespace vmette::scheduler
