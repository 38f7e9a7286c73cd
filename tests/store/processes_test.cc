#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "base/fd.h"
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
