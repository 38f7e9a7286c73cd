#include "scheduler/result_cache.h"

#include <atomic>
#include <fstream>
#include <thread>

#include <SQLiteCpp/SQLiteCpp.h>

#include "base/fd.h"
#include "scheduler/batch_fixture.h"

namespace vmette::scheduler {
namespace {

namespace fs = std::filesystem;
using Cause = CacheDecision::Cause;

/// A batch of one job whose image is a folder, and runs that are made up.
struct ResultCacheTest : BatchFixture {
    rootfs::Registry providers = rootfs::Registry::with_builtin();
    manifest::Sandbox sandbox;
    AttemptOrder order{.job = 0, .attempt = 1, .name = "lint", .run_id = "01r", .cache = true};

    void SetUp() override {
        for (const char* name : {"root", "share"}) fs::create_directory(path(name));
        for (const char* name : {"kernel", "initramfs", "share/file"}) write(name, name);
        sandbox.name = "lint";
        sandbox.exec = manifest::ShellCommand{"make"};
        sandbox.rootfs.source = path("root");
        sandbox.vm.kernel = path("kernel");
        sandbox.vm.initramfs = path("initramfs");
        sandbox.shares.push_back({"src", path("share"), "/src", manifest::ShareMode::ro});
        job("lint").cache = true;
        make();
    }
    fs::path path(const std::string& name) const { return folder.path() / name; }
    void write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }
    std::unique_ptr<ResultCache> cache(bool reuse = true) {
        return std::make_unique<ResultCache>(ResultCache::Setting{layout, clock, providers,
                                                                  [](const std::string&) { return std::nullopt; },
                                                                  batch.id, batch.name, false, reuse});
    }
    ResultCache::Answer ask(ResultCache& of) { return of.ask(store, sandbox, order, stop); }
    /// As a machine leaves it.
    store::RunRecord run(const std::string& id, int exit_code = 0) {
        store::RunRecord record;
        record.id = id;
        record.name = record.job = order.name;
        record.batch = batch.id;
        record.created_at = clock.now();
        record.finished_at = clock.now();
        record.status = exit_code == 0 ? store::RunStatus::succeeded : store::RunStatus::failed;
        record.reason = "exited";
        record.exit_code = exit_code;
        auto kept = layout.run_dir(id);
        EXPECT_TRUE(make_private_dir(kept));
        record.log_stdout = kept / "stdout.log";
        record.log_stderr = kept / "stderr.log";
        std::ofstream(record.log_stdout) << "out";
        std::ofstream(record.log_stderr) << "";
        record.usage.stdout_bytes = 10;
        record.usage.stdout_dropped = 7;
        EXPECT_TRUE(store.insert_run(record));
        return record;
    }
    std::string keep(ResultCache& in, ResultCache::Answer& answer, const store::RunRecord& record) {
        return in.keep(store, sandbox, order, answer, record, stop);
    }
    /// A stored success of the job as it is now.
    store::RunRecord stored_success(const std::string& id) {
        auto one = cache();
        auto answer = ask(*one);
        auto record = run(id);
        EXPECT_EQ(keep(*one, answer, record), "");
        return record;
    }
    CacheDecision written() {
        auto text = batches.cache_decision(batch.id, 0);
        EXPECT_TRUE(text && !text->empty());
        return *cache_decision_from_json(*text);
    }
    void run_sql(const std::string& sql) {
        SQLite::Database database(layout.database().string(), SQLite::OPEN_READWRITE);
        database.exec("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = ON; " + sql);
    }
};

TEST_F(ResultCacheTest, SuccessStandsForTheNextRun) {
    auto first = cache();
    auto answer = ask(*first);
    EXPECT_FALSE(answer.stored);
    EXPECT_EQ(written().cause, Cause::first);
    auto record = run("01a");
    EXPECT_EQ(keep(*first, answer, record), "");
    auto again = ask(*first);
    ASSERT_TRUE(again.stored);
    EXPECT_EQ(*again.stored, record);
    EXPECT_EQ(ask(*cache()).stored->id, "01a") << "in another process too";
}

TEST_F(ResultCacheTest, FailureIsNeverKept) {
    auto one = cache();
    auto answer = ask(*one);
    EXPECT_EQ(keep(*one, answer, run("01a", 3)), "");
    EXPECT_FALSE(ask(*one).stored);
    auto lie = run("01b", 3);
    lie.status = store::RunStatus::succeeded;
    EXPECT_NE(keep(*one, answer, lie), "") << "exit code 3 is no success whatever else is said";
    EXPECT_FALSE(ask(*one).stored);
}

TEST_F(ResultCacheTest, ChangedFileIsNamed) {
    stored_success("01a");
    write("share/file", "other");
    write("share/new", "");
    auto answer = ask(*cache());
    EXPECT_FALSE(answer.stored);
    auto decision = written();
    EXPECT_EQ(decision, answer.decision);
    EXPECT_EQ(decision.cause, Cause::changed);
    EXPECT_EQ(decision.run_id, "01a");
    ASSERT_EQ(decision.changes.size(), 1U);
    EXPECT_EQ(decision.changes[0].input.name, "shares.src");
    EXPECT_EQ(decision.changes[0].files.first, (std::vector<std::string>{"changed file", "new new"}));
}

TEST_F(ResultCacheTest, JobWithoutAnyIsComparedWithTheNearestOfAnother) {
    stored_success("01a");
    order.name = sandbox.name = "lint-2";
    auto near = ask(*cache()).decision;
    EXPECT_EQ(near.cause, Cause::changed);
    EXPECT_EQ(near.run_id, "01a");
    ASSERT_EQ(near.changes.size(), 1U);
    EXPECT_EQ(near.changes[0].input, (InputChange{"name", "\"lint\"", "\"lint-2\""}));
    for (int i = 0; i < 100; ++i) sandbox.env.emplace_back("V" + std::to_string(i), "x");
    EXPECT_EQ(ask(*cache()).decision.cause, Cause::first) << "too far to be worth comparing";
}

TEST_F(ResultCacheTest, LogsThatAreGoneOrCutAreAMiss) {
    auto record = stored_success("01a");
    ASSERT_TRUE(ask(*cache()).stored);
    fs::resize_file(record.log_stdout, 2);
    auto cut = ask(*cache());
    EXPECT_FALSE(cut.stored);
    EXPECT_EQ(cut.decision.cause, Cause::gone);
    EXPECT_EQ(cut.decision.run_id, "01a");
    EXPECT_NE(cut.decision.note.find("stdout.log is not what was written"), std::string::npos) << cut.decision.note;
    auto other = stored_success("01b");
    ASSERT_TRUE(ask(*cache()).stored);
    fs::remove_all(layout.run_dir("01b"));
    EXPECT_NE(ask(*cache()).decision.note.find("is not there any more"), std::string::npos);
    EXPECT_NE(ask(*cache()).decision.cause, Cause::gone) << "it was dropped";
}

TEST_F(ResultCacheTest, ArtifactsThatAreGoneAreAMiss) {
    auto one = cache();
    auto answer = ask(*one);
    auto record = run("01a");
    record.artifacts.push_back({"/out/report.json", 4, "sha"});
    EXPECT_TRUE(store.update_run(record));
    EXPECT_NE(keep(*one, answer, record), "") << "not even kept";
    fs::create_directories(layout.run_dir("01a") / "artifacts/out");
    std::ofstream(layout.run_dir("01a") / "artifacts/out/report.json") << "true";
    EXPECT_EQ(keep(*one, answer, record), "");
    EXPECT_TRUE(ask(*one).stored);
    fs::remove(layout.run_dir("01a") / "artifacts/out/report.json");
    EXPECT_EQ(ask(*one).decision.cause, Cause::gone);
}

TEST_F(ResultCacheTest, DamagedRowsAreAMiss) {
    for (const char* damage :
         {"UPDATE cached_results SET inputs = 'x'", "UPDATE cached_results SET inputs = '[]'",
          "UPDATE runs SET status = 'odd'", "UPDATE runs SET exit_code = 1", "UPDATE runs SET status = 'failed'",
          "UPDATE runs SET reason = 'timeout'", "DELETE FROM runs"}) {
        static int number = 0;
        stored_success("01a" + std::to_string(number++));
        ASSERT_TRUE(ask(*cache()).stored) << damage;
        run_sql(damage);
        EXPECT_FALSE(ask(*cache()).stored) << damage;
        run_sql("DELETE FROM runs; DELETE FROM cached_results");
    }
}

TEST_F(ResultCacheTest, ShareThatChangesWhileTheJobRunsIsNotKept) {
    auto one = cache();
    auto answer = ask(*one);
    auto record = run("01a");
    write("share/file", "changed meanwhile");
    EXPECT_EQ(keep(*one, answer, record), "shares.src changed while the job ran");
    EXPECT_EQ(written().not_kept, "shares.src changed while the job ran");
    EXPECT_FALSE(ask(*one).stored);
    write("share/file", "share/file");
    EXPECT_FALSE(ask(*one).stored);
}

TEST_F(ResultCacheTest, InputsThatCannotBeToldRunAndAreNotKept) {
    sandbox.shares[0].host = path("missing");
    auto one = cache();
    auto answer = ask(*one);
    EXPECT_FALSE(answer.stored);
    EXPECT_EQ(written().cause, Cause::untold);
    EXPECT_NE(written().note, "");
    EXPECT_EQ(keep(*one, answer, run("01a")), answer.decision.note);
    EXPECT_EQ(written().not_kept, answer.decision.note);
}

TEST_F(ResultCacheTest, WithoutReuseTheResultIsStoredAnew) {
    stored_success("01a");
    auto one = cache(false);
    auto answer = ask(*one);
    EXPECT_FALSE(answer.stored);
    EXPECT_EQ(written().cause, Cause::bypassed);
    EXPECT_EQ(keep(*one, answer, run("01b")), "");
    EXPECT_EQ(ask(*cache()).stored->id, "01b");
}

TEST_F(ResultCacheTest, ManyThreadsStoreAndTakeOneKey) {
    auto one = cache();
    std::atomic<int> hits = 0, bad = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i)
            threads.emplace_back([&, i] {
                auto own = store::Store::open(layout.database(), clock);
                auto never = StopRequests::open();
                if (!own || !never) return void(++bad);
                for (int n = 0; n < 5; ++n) {
                    auto answer = one->ask(*own, sandbox, order, *never);
                    if (answer.stored) {
                        ++hits;
                        continue;
                    }
                    store::RunRecord record;
                    record.id = fmt::format("01t{}n{}", i, n);
                    record.job = order.name;
                    record.batch = batch.id;
                    record.status = store::RunStatus::succeeded;
                    record.reason = "exited";
                    record.exit_code = 0;
                    auto kept = layout.run_dir(record.id);
                    if (!make_private_dir(kept)) ++bad;
                    record.log_stdout = kept / "stdout.log";
                    record.log_stderr = kept / "stderr.log";
                    std::ofstream(record.log_stdout).close();
                    std::ofstream(record.log_stderr).close();
                    if (!own->insert_run(record)) ++bad;
                    if (!one->keep(*own, sandbox, order, answer, record, *never).empty()) ++bad;
                }
            });
    }
    EXPECT_EQ(bad, 0);
    EXPECT_GE(hits, 8 * 4) << "each thread finds one once it has stored its own";
    auto found = ask(*one);
    EXPECT_TRUE(found.stored);
}

TEST_F(ResultCacheTest, CancelledQuestionIsNoAnswer) {
    stored_success("01a");
    stop.request(SIGTERM);
    auto answer = ask(*cache());
    EXPECT_FALSE(answer.stored);
    EXPECT_EQ(answer.decision.cause, Cause::untold);
}

}  // namespace
}  // namespace vmette::scheduler
