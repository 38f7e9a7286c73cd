#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/history_home.h"

namespace vmette::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

TEST_F(HistoryTest, EmptyHistoryIsEmpty) {
    EXPECT_EQ(home_.run({"history", "--json"}).out, "[]\n");
    EXPECT_EQ(home_.run({"history", "--jsonl"}).out, "");
    auto people = home_.run({"history"});
    EXPECT_EQ(people.code, 0);
    EXPECT_EQ(people.out, "");
    EXPECT_EQ(people.err, "vmette: no runs\n");
}

TEST_F(HistoryTest, FoldersArePrivate) {
    home_.run({"history"});
    struct stat info{};
    ASSERT_EQ(::stat(home_.layout().state.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0700u);
    ASSERT_EQ(::stat(home_.layout().database().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0600u);
}

TEST_F(HistoryTest, FiltersAllHold) {
    auto one = finished("one", 0);
    one.labels["team"] = "search";
    insert(one);
    insert(finished("two", 3));
    auto three = finished("three", 4);
    three.created_at -= std::chrono::hours(48);
    three.reason = "timeout";
    insert(three);
    using testing::ElementsAre;
    EXPECT_THAT(names({}), ElementsAre("two", "one", "three"));
    EXPECT_THAT(names({"--since", "1d"}), ElementsAre("two", "one"));
    EXPECT_THAT(names({"--until", "1d"}), ElementsAre("three"));
    EXPECT_THAT(names({"--failed"}), ElementsAre("two", "three"));
    EXPECT_THAT(names({"--failed", "--since", "1d"}), ElementsAre("two"));
    EXPECT_THAT(names({"--status", "succeeded"}), ElementsAre("one"));
    EXPECT_THAT(names({"--reason", "timeout"}), ElementsAre("three"));
    EXPECT_THAT(names({"--exit", "3"}), ElementsAre("two"));
    EXPECT_THAT(names({"--name", "t*"}), ElementsAre("two", "three"));
    EXPECT_THAT(names({"--image", "*/one.tar"}), ElementsAre("one"));
    EXPECT_THAT(names({"--label", "team=search"}), ElementsAre("one"));
    EXPECT_THAT(names({"--limit", "1"}), ElementsAre("two"));
    EXPECT_THAT(names({"--sort", "name"}), ElementsAre("one", "three", "two"));
    EXPECT_THAT(names({"--sort=-exit_code,+created"}), ElementsAre("three", "two", "one"));
    EXPECT_THAT(names({"--sort", "-name"}), ElementsAre("two", "three", "one"));
    EXPECT_THAT(names({"--where", "exit_code in (3, 4) and created > now - 1d"}), ElementsAre("two"));
    EXPECT_THAT(names({"--where", "labels.team = null and duration >= 3s", "--failed"}), ElementsAre("two", "three"));
}

TEST_F(HistoryTest, WrongFiltersAreRefused) {
    const std::pair<std::vector<std::string>, const char*> cases[] = {
        {{"--since", "soon"}, "'soon' is no time"},
        {{"--status", "fine"}, "--status: 'fine' is none of running, succeeded, failed, stopped, lost"},
        {{"--exit", "300"}, "--exit 300: an exit code is 0 to 255"},
        {{"--limit", "-1"}, "--limit -1: 0 to 1000000"},
        {{"--sort", "duratoin"}, "there is no field 'duratoin' (did you mean duration?)"},
        {{"--where", "duratoin > 3"}, "--where: there is no field \"duratoin\"; did you mean duration?"},
        {{"--where", "name = 'a' and duratoin > 3"}, "  name = 'a' and duratoin > 3\n                 ^^^^^^^^\n"},
        {{"--label", "team"}, "--label team: it is written NAME=VALUE"},
        {{"--json", "--jsonl"}, "--json and --jsonl exclude each other"},
    };
    for (const auto& [words, message] : cases) {
        std::vector<std::string> all{"history"};
        all.insert(all.end(), words.begin(), words.end());
        auto result = home_.run(all);
        EXPECT_EQ(result.code, 2) << message;
        EXPECT_THAT(result.err, HasSubstr(message));
    }
}

TEST_F(HistoryTest, DocumentHasEveryField) {
    insert(finished("one", 0));
    auto document = json::parse(home_.run({"history", "show", "one", "--json"}).out);
    for (const char* field : {"id",          "name",
                              "batch",       "job",
                              "attempt",     "status",
                              "reason",      "exit_code",
                              "signal",      "started_before_failure",
                              "created_at",  "started_at",
                              "finished_at", "duration_ms",
                              "phases",      "image",
                              "kernel",      "accel",
                              "warm",        "vcpus",
                              "memory_mib",  "scratch_mib",
                              "usage",       "net",
                              "labels",      "manifest_digest",
                              "artifacts",   "logs",
                              "error"})
        EXPECT_TRUE(document.contains(field)) << field;
    EXPECT_EQ(document["status"], "succeeded");
    EXPECT_EQ(document["exit_code"], 0);
    EXPECT_EQ(json::parse(home_.run({"history", "--json"}).out)[0], document);
    EXPECT_EQ(json::parse(home_.run({"history", "--jsonl"}).out), document);
}

TEST_F(HistoryTest, RunIsFoundByPrefixOrName) {
    auto one = finished("one", 0);
    insert(one);
    EXPECT_THAT(home_.run({"history", "show", one.id.substr(0, 14)}).out, HasSubstr(one.id));
    EXPECT_THAT(home_.run({"history", "show", "one"}).out, HasSubstr("exit code 0"));
    auto gone = home_.run({"history", "show", "zzz"});
    EXPECT_EQ(gone.code, 1);
    EXPECT_THAT(gone.err, HasSubstr("zzz"));
    EXPECT_EQ(home_.run({"history", "show", "one", "--manifest"}).out, "schema = 1\n");
}

TEST_F(HistoryTest, OneIsSaidInTheSingular) {
    insert(finished("one", 0));
    EXPECT_THAT(home_.run({"history", "show", "one"}).out, HasSubstr("  1 vcpu, 512 MiB memory"));
    auto two = finished("two", 0);
    two.vcpus = 2;
    insert(two);
    EXPECT_THAT(home_.run({"history", "show", "two"}).out, HasSubstr("  2 vcpus, "));
}

TEST_F(HistoryTest, TimeAndItsSortAreOfTheWholeRun) {
    auto quick = finished("long-boot", 0);
    quick.started_at = quick.created_at + std::chrono::seconds(59);
    quick.finished_at = quick.created_at + std::chrono::seconds(60);
    insert(quick);
    insert(finished("long-command", 0));
    EXPECT_THAT(names({"--sort", "duration"}), testing::ElementsAre("long-boot", "long-command"));
    EXPECT_THAT(home_.run({"history", "--name", "long-boot"}).out, HasSubstr(" 1m00s "));
}

TEST_F(HistoryTest, AmbiguousPrefixIsRefused) {
    insert(finished("one", 0));
    insert(finished("two", 0));
    auto result = home_.run({"history", "show", "0"});
    EXPECT_EQ(result.code, 2);
}

TEST_F(HistoryTest, RunWhoseProcessIsGoneIsLost) {
    auto run = finished("dead", 0);
    run.status = store::RunStatus::running;
    run.reason.clear();
    run.exit_code.reset();
    run.finished_at.reset();
    run.owner.pid = 1;
    run.owner.start_ticks = 1;  // no process of this boot started then
    insert(run);
    auto runs = json::parse(home_.run({"history", "--json"}).out);
    ASSERT_EQ(runs.size(), 1u);
    EXPECT_EQ(runs[0]["status"], "lost");
    EXPECT_EQ(runs[0]["reason"], "lost");
}

TEST_F(HistoryTest, TextOfAGuestCannotDriveTheTerminal) {
    auto run = finished("one", 0);
    run.error = "guest said \x1b]0;owned\x07";
    run.image_source = "tar+file:///\x1b[2J";
    run.log_stdout = home_.write("log", "plain \x1b[31mred\xc3\xa9\n");
    insert(run);
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"history", "--color=never"}, {"history", "show", "one"}}) {
        EXPECT_THAT(home_.run(words).out, Not(HasSubstr("\x1b")));
        EXPECT_THAT(home_.run_on_terminal(words).out, Not(HasSubstr("\x1b")));
    }
    EXPECT_EQ(home_.run({"history", "logs", "one"}).out, "plain \x1b[31mred\xc3\xa9\n");
    EXPECT_EQ(home_.run_on_terminal({"history", "logs", "one"}).out, "plain \\x1b[31mred\xc3\xa9\r\n");
}

TEST_F(HistoryTest, LogsOfEachStream) {
    auto run = finished("one", 0);
    run.log_stdout = home_.write("out", std::string(200'000, 'o'));
    run.log_stderr = home_.write("err", "e\n");
    insert(run);
    EXPECT_EQ(home_.run({"history", "logs", "one"}).out, std::string(200'000, 'o'));
    EXPECT_EQ(home_.run({"history", "logs", "one", "--stderr"}).out, "e\n");
    auto none = home_.run({"history", "logs", "one", "--console"});
    EXPECT_EQ(none.code, 1);
    EXPECT_THAT(none.err, HasSubstr("kept no logs"));
    EXPECT_EQ(home_.run({"history", "logs", "one", "--console", "--stderr"}).code, 2);
}

TEST_F(HistoryTest, TableFitsTheTerminal) {
    auto run = finished("a-name-that-is-quite-long-for-a-table", 0);
    run.image_source = "tar+https://example.org/" + std::string(200, 'x');
    insert(run);
    std::string text = home_.run_on_terminal({"history", "--color=never"}, 80).out;
    for (std::size_t start = 0; start < text.size();) {
        auto end = text.find("\r\n", start);
        ASSERT_NE(end, std::string::npos);
        std::string line = text.substr(start, end - start);
        auto points = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
        EXPECT_LE(points, 80) << line;
        start = end + 2;
    }
    EXPECT_THAT(text, HasSubstr("…"));
    EXPECT_THAT(home_.run({"history"}).out, HasSubstr(std::string(200, 'x'))) << "a pipe gets all of it";
}

TEST_F(HistoryTest, SixtyFourAtOnce) {
    insert(finished("one", 0));
    auto result = home_.shell("for i in $(seq 64); do $V history --json > out.$i || echo failed & done; wait");
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "");
    EXPECT_EQ(home_.shell("cat out.* | grep -c '\"name\": *\"one\"'").out, "64\n");
}

TEST_F(HistoryTest, NewHistoryIsMadeByManyAtOnce) {
    auto result = home_.shell("for i in $(seq 32); do $V history --json > /dev/null || echo failed & done; wait");
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "");
}

TEST_F(HistoryTest, GcNamesNothingWhenNothingIsLeft) {
    auto result = home_.run({"gc"});
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "vmette: nothing is left over\n");
    EXPECT_EQ(home_.run({"gc", "--dry-run", "--json"}).out, "[]\n");
}

TEST_F(HistoryTest, LogsThatItDoesNotKnowAreKeptThirtyDays) {
    auto folder_of = [&](std::chrono::days age) {
        auto made = SystemClock().now() - age;
        auto path = home_.layout().run_dir(make_ulid(made.time_since_epoch().count()));
        std::filesystem::create_directories(path);
        std::ofstream(path / "stdout.log") << "said";
        return path;
    };
    auto old = folder_of(std::chrono::days(31)), young = folder_of(std::chrono::days(29));
    EXPECT_THAT(home_.run({"gc", "--dry-run"}).out, testing::HasSubstr(old.filename().string()));
    EXPECT_TRUE(std::filesystem::exists(old));
    auto result = home_.run({"gc"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_FALSE(std::filesystem::exists(old));
    EXPECT_TRUE(std::filesystem::exists(young));
    EXPECT_THAT(home_.run({"gc"}).err, testing::HasSubstr("nothing is left over"));
    EXPECT_EQ(home_.run({"image", "ls", "--json"}).out, "[]\n");
}

}  // namespace
}  // namespace vmette::cli
