#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <sstream>

#include <SQLiteCpp/SQLiteCpp.h>

#include "base/fd.h"
#include "store/migrate.h"
#include "store/store_fixture.h"
#include "store/worker.h"

namespace vmette::store {
namespace {

constexpr std::size_t kMuchOutput = 16 << 20;

class ProcessesTest : public StoreTest {
protected:
    struct Ended {
        int status = 0;
        std::string said;
    };
    Ended run(const std::vector<std::string>& arguments) {
        auto pipe = value_of(make_pipe());
        auto process = value_of(spawn(worker(arguments, pipe[1].get())));
        pipe[1].reset();
        std::string said = value_of(read_all(pipe[0].get(), kMuchOutput, "the worker"));
        return {process.wait_for(std::chrono::seconds(60)).value_or(-1), said};
    }
};

TEST_F(ProcessesTest, SixtyFourAtOnceOnANewHistoryMeetNoError) {
    constexpr int kProcesses = 64, kRunsEach = 10;
    auto pipe = value_of(make_pipe());
    std::vector<Process> processes;
    for (int i = 0; i < kProcesses; ++i)
        processes.push_back(value_of(spawn(worker({"busy", path(), std::to_string(i)}, pipe[1].get()))));
    pipe[1].reset();
    EXPECT_EQ(value_of(read_all(pipe[0].get(), kMuchOutput, "the workers")), "");
    for (auto& process : processes) EXPECT_EQ(process.wait_for(std::chrono::seconds(60)), 0);

    auto store = open();
    ASSERT_OK(store);
    RunFilter all;
    all.limit = 0;
    auto runs = value_of(store->list_runs(all));
    EXPECT_EQ(runs.size(), std::size_t{kProcesses * kRunsEach});
    for (const auto& one : runs) EXPECT_EQ(one.status, RunStatus::succeeded);
    EXPECT_EQ(value_of(store->ledger_list()).size(), 0u);
    EXPECT_EQ(value_of(store->list_images()).front().uses, std::uint64_t{kProcesses * kRunsEach});
    EXPECT_EQ(value_of(store->check()), "");
}

/// For a minute by `bench/load`; the suite has a moment.
int load_seconds() {
    const char* set = ::getenv("VMETTE_LOAD_SECONDS");
    return set != nullptr ? std::max(std::atoi(set), 1) : 1;
}

TEST_F(ProcessesTest, WritersAndReadersMeetNoErrorAndLoseNoRow) {
    constexpr int kWriters = 64, kReaders = 16;
    std::string seconds = std::to_string(load_seconds());
    ASSERT_OK(open());
    auto said = value_of(make_pipe());
    std::vector<Process> processes;
    for (int i = 0; i < kReaders; ++i)
        processes.push_back(value_of(spawn(worker({"ask", path(), seconds}, said[1].get()))));
    for (int i = 0; i < kWriters; ++i)
        processes.push_back(value_of(spawn(worker({"write", path(), std::to_string(i), seconds}, said[1].get()))));
    said[1].reset();
    std::istringstream lines(value_of(read_all(said[0].get(), std::size_t{256} << 20, "the workers")));
    std::set<std::string> written;
    for (std::string line; std::getline(lines, line);) {
        ASSERT_TRUE(line.starts_with("run-")) << line;
        written.insert(line);
    }
    for (auto& process : processes) EXPECT_EQ(process.wait_for(std::chrono::seconds(60)), 0);
    RecordProperty("runs", static_cast<int>(written.size()));

    auto store = open();
    ASSERT_OK(store);
    RunFilter all;
    all.limit = 0;
    std::set<std::string> kept;
    for (const auto& run : value_of(store->list_runs(all))) {
        kept.insert(run.id);
        EXPECT_EQ(run.status, RunStatus::succeeded) << run.id;
    }
    EXPECT_GE(written.size(), std::size_t{kWriters});
    EXPECT_EQ(kept, written);
    all.grep = "said by worker";
    EXPECT_EQ(value_of(store->list_runs(all)).size(), written.size());
    EXPECT_EQ(value_of(store->ledger_list()).size(), 0u);
    EXPECT_EQ(value_of(store->check()), "");
}

TEST_F(ProcessesTest, InterruptedMigrationIsCompletedByTheNext) {
    constexpr int kRuns = 20'000;
    ASSERT_OK(make_private_dir(path().parent_path()));
    auto old = folder_->path() / "old.db";
    {
        SQLite::Database database(old.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
        database.exec("PRAGMA journal_mode = WAL; BEGIN; " + std::string(migrations().front().sql) +
                      value_of(read_file(std::filesystem::path(VMETTE_STORE_TEST_DATA) / "version1.sql", 1 << 20)) +
                      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = 1; COMMIT;", 0x766d6574));
        // As many more as make the new indices take a while.
        database.exec(fmt::format(
            "CREATE TEMP TABLE more AS SELECT * FROM runs LIMIT 1; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
            "i + 1 FROM n WHERE i < {}) INSERT INTO runs SELECT NULL, '02' || i, name, batch, job, attempt, status, "
            "reason, exit_code, signal, started_before_failure, created_at, started_at, finished_at, resolve_ms, "
            "prepare_ms, boot_ms, ready_ms, exec_ms, collect_ms, teardown_ms, image_source, image_digest, "
            "image_provider, kernel_path, kernel_digest, accel, warm, vcpus, memory_mib, scratch_mib, cpu_ms, "
            "peak_memory_bytes, scratch_bytes, net_rx_bytes, net_tx_bytes, stdout_bytes, stderr_bytes, stdout_dropped, "
            "stderr_dropped, net_mode, manifest_digest, log_stdout, log_stderr, log_console, error, owner_pid, "
            "owner_start_ticks, owner_boot_id FROM more, n",
            kRuns));
        database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    int interrupted = 0;
    for (int round = 0; round < 20; ++round) {
        for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path().string() + suffix);
        std::filesystem::copy_file(old, path());
        std::filesystem::permissions(path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        auto pipe = value_of(make_pipe());
        auto process = value_of(spawn(worker({"open", path()}, pipe[1].get())));
        pipe[1].reset();
        char begun = 0;
        ASSERT_EQ(::read(pipe[0].get(), &begun, 1), 1);
        // At another place each time, from its first steps on.
        (void)process.wait_for(std::chrono::milliseconds(round * 2));
        process.kill();
        {
            SQLite::Database left(path().string(), SQLite::OPEN_READWRITE);
            int version = left.execAndGet("PRAGMA user_version").getInt();
            if (version < migrations().back().version) ++interrupted;
            EXPECT_EQ(left.execAndGet("SELECT count(*) FROM runs WHERE id GLOB '02*'").getInt(), kRuns);
        }
        auto store = open();
        ASSERT_OK(store);
        EXPECT_EQ(value_of(store->check()), "");
        EXPECT_TRUE(value_of(store->get_run("02" + std::to_string(kRuns))));
    }
    EXPECT_GE(interrupted, 1);
}

TEST_F(ProcessesTest, WhatWasRecordedOutlivesKill9) {
    std::set<std::string> recorded;
    for (std::size_t round = 1; round <= 10; ++round) {
        auto pipe = value_of(make_pipe());
        auto process = value_of(spawn(worker({"endless", path()}, pipe[1].get())));
        pipe[1].reset();
        std::string said(20 * round, '\0');
        // Killed while it writes, at a different place each time.
        ssize_t n = ::read(pipe[0].get(), said.data(), said.size());
        ASSERT_GT(n, 0);
        process.kill();
        said.resize(static_cast<std::size_t>(n));
        said += value_of(read_all(pipe[0].get(), kMuchOutput, "the worker"));
        for (std::size_t at = 0, end; (end = said.find('\n', at)) != said.npos; at = end + 1)
            recorded.insert(said.substr(at, end - at));
    }
    ASSERT_GE(recorded.size(), 10u);
    auto store = open();
    ASSERT_OK(store);
    EXPECT_EQ(value_of(store->check()), "");
    for (const std::string& id : recorded) EXPECT_EQ(**store->get_run(id), full_run(id)) << id;
}

TEST_F(ProcessesTest, NoSpaceForRunsIsSaidAndLosesNone) {
    ASSERT_OK(value_of(open()).insert_run(full_run("01a")));
    Ended ended = run({"cramped", path(), std::to_string(600 * 1024)});
    EXPECT_EQ(ended.said, fmt::format("no-space: no space left to write the history {}\n", path().string()));
    auto store = open();
    ASSERT_OK(store);
    EXPECT_EQ(value_of(store->check()), "");
    EXPECT_EQ(**store->get_run("01a"), full_run("01a"));
    ASSERT_OK(store->insert_run(full_run("01b")));
}

TEST_F(ProcessesTest, NoSpaceForANewHistoryIsSaid) {
    Ended ended = run({"cramped", path(), "8192"});
    EXPECT_EQ(ended.said.find("no-space: "), 0u) << ended.said;
    EXPECT_NE(ended.said.find(fmt::format("no space left to write the history {}\n", path().string())),
              std::string::npos)
        << ended.said;
    // With space again, what was begun is completed.
    auto store = open();
    ASSERT_OK(store);
    ASSERT_OK(store->insert_run(full_run("01a")));
}

class UnprivilegedTest : public ProcessesTest {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
        // The folder of the test itself is private: let the other user pass.
        ASSERT_EQ(::chmod(folder_->path().c_str(), 0755), 0);
    }
};

TEST_F(UnprivilegedTest, HistoryOfAnotherUserIsRefused) {
    ASSERT_OK(open());
    ASSERT_EQ(::chmod(path().parent_path().c_str(), 0755), 0);
    EXPECT_EQ(
        run({"nobody", path()}).said,
        fmt::format("io: {} belongs to another user (uid 0): what it holds cannot be trusted\n", path().string()));
}

TEST_F(UnprivilegedTest, HistoryThatOthersMayWriteIsRefused) {
    ASSERT_OK(open());
    ASSERT_EQ(::chmod(path().c_str(), 0666), 0);
    EXPECT_EQ(open().error().text(), fmt::format("{} can be written by other users (mode 0666): chmod go-w {}",
                                                 path().string(), path().string()));
    ASSERT_EQ(::chmod(path().c_str(), 0600), 0);
    ASSERT_EQ(::chmod(path().parent_path().c_str(), 0777), 0);
    EXPECT_EQ(open().error().text(), fmt::format("{} can be written by other users (mode 0777): chmod go-w {}",
                                                 path().parent_path().string(), path().parent_path().string()));
}

TEST_F(UnprivilegedTest, FolderThatCannotBeMadeIsNamed) {
    EXPECT_EQ(run({"nobody", path()}).said,
              fmt::format("io: create the folder {}: Permission denied\n", path().parent_path().string()));
}

TEST_F(UnprivilegedTest, FolderThatCannotBeWrittenIsSaid) {
    ASSERT_OK(open());
    constexpr uid_t kNobody = 65534;
    ASSERT_EQ(::chmod(path().parent_path().c_str(), 0555), 0);
    for (const auto& own : {path().parent_path(), path()}) ASSERT_EQ(::chown(own.c_str(), kNobody, kNobody), 0);
    for (const char* suffix : {"-wal", "-shm"}) ASSERT_TRUE(std::filesystem::remove(path().string() + suffix));
    EXPECT_EQ(run({"nobody", path()}).said,
              fmt::format("io: cannot use the history {}: attempt to write a readonly database; the file and its "
                          "folder must be writable for you\n",
                          path().string()));
}

}  // namespace
}  // namespace vmette::store
