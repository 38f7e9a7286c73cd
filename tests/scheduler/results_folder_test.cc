#include "scheduler/results_folder.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <gmock/gmock.h>

#include "base/layout.h"

namespace vmette::scheduler {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

struct ResultsFolderTest : testing::Test {
    TempDir folder = *TempDir::make();
    fs::path results = folder.path() / "some" / "results";
    fs::path kept = folder.path() / "runs";

    static void write(const fs::path& path, std::string_view text) {
        fs::create_directories(path.parent_path());
        auto file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
        ASSERT_TRUE(file) << file.error().text();
        ASSERT_TRUE(write_all(file->get(), text));
    }
    static std::string read(const fs::path& path) {
        auto text = read_file(path, 1 << 20);
        return text ? *text : text.error().text();
    }
    static std::vector<std::string> names(const fs::path& path) {
        std::vector<std::string> out;
        for (const auto& entry : fs::directory_iterator(path)) out.push_back(entry.path().filename());
        return out;
    }
    /// A run that said this.
    store::RunRecord run(const std::string& id, const std::string& said) {
        store::RunRecord run;
        run.id = id;
        run.log_stdout = kept / id / "stdout.log";
        run.log_stderr = kept / id / "stderr.log";
        write(run.log_stdout, said);
        write(run.log_stderr, "err of " + said);
        return run;
    }
    Result<> put(const std::string& job, const store::RunRecord& run) {
        auto opened = ResultsFolder::open(results);
        if (!opened) return Failure(opened.error());
        return opened->put(job, run);
    }
};

TEST_F(ResultsFolderTest, HoldsLogsDocumentAndArtifactsOfAJob) {
    auto one = run("01a", "hello");
    write(kept / "01a" / "artifacts" / "out" / "report.xml", "<report/>");
    write(kept / "01a" / "artifacts" / "top.bin", std::string(300'000, 'x'));
    ASSERT_TRUE(put("build", one));
    EXPECT_EQ(read(results / "build" / "stdout.log"), "hello");
    EXPECT_EQ(read(results / "build" / "stderr.log"), "err of hello");
    EXPECT_EQ(read(results / "build" / "run.json"), store::to_json(one) + "\n");
    EXPECT_EQ(read(results / "build" / "artifacts" / "out" / "report.xml"), "<report/>");
    EXPECT_EQ(fs::file_size(results / "build" / "artifacts" / "top.bin"), 300'000U);
    EXPECT_THAT(names(results / "build"), UnorderedElementsAre("stdout.log", "stderr.log", "run.json", "artifacts"));
}

TEST_F(ResultsFolderTest, EarlierAttemptsAreMovedAndNeverOverwritten) {
    for (const char* id : {"01a", "01b", "01c"}) ASSERT_TRUE(put("build", run(id, id)));
    EXPECT_EQ(read(results / "build" / "stdout.log"), "01c");
    EXPECT_EQ(read(results / "build" / "attempts" / "1" / "stdout.log"), "01a");
    EXPECT_EQ(read(results / "build" / "attempts" / "2" / "stdout.log"), "01b");
    EXPECT_THAT(names(results / "build" / "attempts"), UnorderedElementsAre("1", "2"));
    // Somebody's own folder of the next number stays as it is.
    write(results / "build" / "attempts" / "3" / "mine", "mine");
    ASSERT_TRUE(put("build", run("01d", "01d")));
    EXPECT_EQ(read(results / "build" / "attempts" / "4" / "stdout.log"), "01c");
    EXPECT_THAT(names(results / "build" / "attempts" / "3"), UnorderedElementsAre("mine"));
}

TEST_F(ResultsFolderTest, HalfAnAttemptThatAKillLeftIsMovedToo) {
    write(results / "build" / "stdout.log", "half");
    write(results / "build" / ".run.json.new", "{");
    ASSERT_TRUE(put("build", run("01a", "whole")));
    EXPECT_EQ(read(results / "build" / "attempts" / "1" / "stdout.log"), "half");
    EXPECT_THAT(names(results / "build"), UnorderedElementsAre("stdout.log", "stderr.log", "run.json", "attempts"));
}

TEST_F(ResultsFolderTest, TellsWhichRunItHolds) {
    auto opened = *ResultsFolder::open(results);
    EXPECT_FALSE(opened.holds("build", "01a"));
    ASSERT_TRUE(put("build", run("01a", "x")));
    EXPECT_TRUE(opened.holds("build", "01a"));
    EXPECT_FALSE(opened.holds("build", "01"));
    ASSERT_TRUE(put("build", run("01b", "x")));
    EXPECT_FALSE(opened.holds("build", "01a"));
    // What a guest may have put there is neither followed nor waited for.
    fs::remove(results / "build" / "run.json");
    fs::create_symlink(results / "build" / "attempts" / "1" / "run.json", results / "build" / "run.json");
    EXPECT_FALSE(opened.holds("build", "01a"));
    fs::remove(results / "build" / "run.json");
    ASSERT_EQ(::mkfifo((results / "build" / "run.json").c_str(), 0600), 0);
    EXPECT_FALSE(opened.holds("build", "01a"));
    EXPECT_FALSE(opened.holds("../build", "01a"));
}

TEST_F(ResultsFolderTest, LogsThatWereNotKeptAreNoError) {
    store::RunRecord none;
    none.id = "01a";
    ASSERT_TRUE(put("build", none));
    EXPECT_THAT(names(results / "build"), UnorderedElementsAre("run.json"));
    auto gone = run("01b", "x");
    fs::remove(gone.log_stderr);
    ASSERT_TRUE(put("test", gone));
    EXPECT_THAT(names(results / "test"), UnorderedElementsAre("stdout.log", "run.json"));
}

TEST_F(ResultsFolderTest, LinksThatAGuestPlacedAreNotFollowed) {
    auto outside = folder.path() / "outside";
    fs::create_directories(outside);
    write(folder.path() / "precious", "precious");
    fs::create_directories(results / "linked-file");

    fs::create_directory_symlink(outside, results / "linked");
    auto put_linked = put("linked", run("01a", "x"));
    ASSERT_FALSE(put_linked);
    EXPECT_THAT(put_linked.error().text(), StartsWith("the results of linked: "));

    fs::create_directories(results / "deep");
    write(results / "deep" / "stdout.log", "earlier");
    fs::create_directory_symlink(outside, results / "deep" / "attempts");
    EXPECT_FALSE(put("deep", run("01b", "x")));

    // A link in place of a result is moved away as what it is.
    fs::create_symlink(folder.path() / "precious", results / "linked-file" / "stdout.log");
    fs::create_symlink(folder.path() / "precious", results / "linked-file" / ".stderr.log.new");
    ASSERT_TRUE(put("linked-file", run("01c", "new")));
    EXPECT_EQ(read(results / "linked-file" / "stdout.log"), "new");
    EXPECT_TRUE(fs::is_symlink(results / "linked-file" / "attempts" / "1" / "stdout.log"));
    EXPECT_EQ(read(folder.path() / "precious"), "precious");
    EXPECT_TRUE(names(outside).empty());
}

TEST_F(ResultsFolderTest, LinksAmongArtifactsAreNotCopied) {
    auto one = run("01a", "x");
    write(kept / "01a" / "artifacts" / "real", "real");
    fs::create_symlink("/etc/passwd", kept / "01a" / "artifacts" / "link");
    fs::create_directory_symlink("/etc", kept / "01a" / "artifacts" / "folder");
    ASSERT_EQ(::mkfifo((kept / "01a" / "artifacts" / "pipe").c_str(), 0600), 0);
    ASSERT_TRUE(put("build", one));
    EXPECT_THAT(names(results / "build" / "artifacts"), UnorderedElementsAre("real"));
}

TEST_F(ResultsFolderTest, WhatStandsInTheWayIsAnErrorAndStays) {
    write(results / "build", "a file of that name");
    auto done = put("build", run("01a", "x"));
    ASSERT_FALSE(done);
    EXPECT_EQ(read(results / "build"), "a file of that name");
    fs::create_directories(results / "test" / ".stdout.log.new" / "x");
    EXPECT_FALSE(put("test", run("01b", "x")));
    EXPECT_FALSE(fs::exists(results / "test" / "run.json"));
}

TEST_F(ResultsFolderTest, NameThatLeadsElsewhereIsRefused) {
    fs::create_directories(results);
    for (const char* name : {"../escape", "..", "/etc/escape", "a/b", ""})
        EXPECT_FALSE(put(name, run("01a", "x"))) << name;
    EXPECT_TRUE(names(results).empty());
    EXPECT_THAT(names(results.parent_path()), UnorderedElementsAre("results"));
}

TEST_F(ResultsFolderTest, FolderThatCannotBeIsNamed) {
    write(folder.path() / "file", "");
    auto opened = ResultsFolder::open(folder.path() / "file" / "results");
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().text(),
                StartsWith(fmt::format("the results folder {}: ", (folder.path() / "file" / "results").string())));
}

TEST_F(ResultsFolderTest, FullDiskIsSaidAndNoDocumentStands) {
    fs::create_directories(results);
    if (::mount("tmpfs", results.c_str(), "tmpfs", 0, "size=64k") != 0)
        GTEST_SKIP() << "a small filesystem can be mounted by root alone";
    auto done = put("build", run("01a", std::string(200'000, 'x')));
    bool document = fs::exists(results / "build" / "run.json");
    ::umount(results.c_str());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::no_space);
    EXPECT_THAT(done.error().text(), HasSubstr("the results of build: "));
    EXPECT_FALSE(document);
}

}  // namespace
}  // namespace vmette::scheduler
