#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "cli/history_home.h"
#include "store/batches.h"
#include "store/history.h"

namespace vmette::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class HistoryVerbsTest : public HistoryTest {
protected:
    json parsed(const std::vector<std::string>& words) {
        auto result = home_.run(words);
        EXPECT_EQ(result.code, 0) << result.err;
        return json::parse(result.out);
    }
    /// A run with a folder of so many bytes.
    store::RunRecord with_folder(const std::string& name, std::size_t bytes) {
        auto run = finished(name, 0);
        auto folder = home_.layout().run_dir(run.id);
        EXPECT_TRUE(make_private_dir(folder / "artifacts"));
        std::ofstream(folder / "artifacts" / "a") << std::string(bytes, 'x');
        insert(run);
        return run;
    }
    bool has_folder(const store::RunRecord& run) const {
        return std::filesystem::exists(home_.layout().run_dir(run.id));
    }
};

TEST_F(HistoryVerbsTest, StatsOfGroups) {
    EXPECT_EQ(home_.run({"history", "stats", "--json"}).out, "[]\n");
    insert(finished("one", 0));
    insert(finished("one", 3));
    auto running = finished("two", 0);
    running.status = store::RunStatus::running;
    running.finished_at.reset();
    insert(running);
    auto groups = parsed({"history", "stats", "--by", "name", "--json"});
    ASSERT_EQ(groups.size(), 2u);
    EXPECT_EQ(groups[0]["by"]["name"], "one");
    EXPECT_EQ(groups[0]["runs"], 2);
    EXPECT_EQ(groups[0]["failure_rate"], 0.5);
    EXPECT_EQ(groups[0]["duration_ms"]["p95"], 3000);
    EXPECT_EQ(groups[0]["boot_ms"]["p50"], nullptr);
    EXPECT_EQ(groups[1]["failure_rate"], nullptr);
    EXPECT_EQ(parsed({"history", "stats", "--json", "--where", "exit_code = 3"})[0]["runs"], 1);
    auto table = home_.run({"history", "stats", "--by", "name,status"}).out;
    EXPECT_THAT(table, HasSubstr("NAME  STATUS"));
    EXPECT_THAT(table, HasSubstr("100.0%      3.0s  3.0s  3.0s"));
    EXPECT_THAT(home_.run({"history", "stats", "--by", "label:Team"}).out, HasSubstr("Team  RUNS"));
    auto wrong = home_.run({"history", "stats", "--by", "nmae"});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.err, HasSubstr("did you mean name?"));
}

TEST_F(HistoryVerbsTest, DiffShowsWhatIsNotTheSame) {
    auto a = finished("a", 0);
    a.manifest = "schema = 1\nname = \"a\"\n\n[env]\nSECRET = \"one\"\nOLD = \"x\"\n\n[limits]\nmemory = \"512M\"\n";
    a.image_digest = "sha256:aa";
    a.usage.peak_memory_bytes = 100;
    auto b = finished("b", 3);
    b.manifest = "schema = 1\nname = \"b\"\n\n[env]\nSECRET = \"two\"\n\n[limits]\nmemory = \"1G\"\n";
    b.image_digest = "sha256:aa";
    b.usage.peak_memory_bytes = 150;
    insert(a);
    insert(b);
    auto diff = parsed({"history", "diff", "a", "b", "--json"});
    EXPECT_EQ(diff["a"], a.id);
    std::map<std::string, json> inputs, results;
    for (const auto& one : diff["inputs"]) inputs[one["key"]] = one;
    for (const auto& one : diff["results"]) results[one["key"]] = one;
    EXPECT_EQ(inputs.size(), 4u) << diff;
    EXPECT_EQ(inputs["limits.memory"]["b"], "\"1G\"");
    EXPECT_EQ(inputs["env.OLD"]["a"], "(set)");
    EXPECT_EQ(inputs["env.OLD"]["b"], nullptr);
    EXPECT_EQ(inputs["env.SECRET"]["b"], "(another value)");
    EXPECT_EQ(results["status"]["b"], "failed");
    EXPECT_EQ(results["usage.peak_memory_bytes"]["change"], 0.5);
    EXPECT_FALSE(results.contains("duration_ms"));
    auto text = home_.run({"history", "diff", "a", "b"}).out;
    EXPECT_THAT(text, HasSubstr("limits.memory  \"512M\""));
    EXPECT_THAT(text, ContainsRegex("usage.peak_memory_bytes  100 B +150 B +.50%"));
    EXPECT_THAT(text, Not(HasSubstr("two")));
    EXPECT_THAT(home_.run({"history", "diff", "a", "a"}).out,
                HasSubstr("INPUT: no difference\n\nRESULT: no difference\n"));
    EXPECT_EQ(home_.run({"history", "diff", "a", "nobody"}).code, 1);
}

TEST_F(HistoryVerbsTest, PruneRemovesRowsAndFolders) {
    auto oldest = with_folder("oldest", 3000);
    auto middle = with_folder("middle", 2000);
    auto newest = with_folder("newest", 1000);
    EXPECT_EQ(home_.run({"history", "prune"}).code, 2);
    EXPECT_EQ(home_.run({"history", "prune", "--keep-last", "-1"}).code, 2);
    auto dry = parsed({"history", "prune", "--keep-last", "1", "--dry-run", "--json"});
    EXPECT_EQ(dry["removed"].size(), 2u);
    EXPECT_EQ(dry["bytes"], 5000);
    EXPECT_TRUE(has_folder(oldest));
    EXPECT_EQ(names({}).size(), 3u);
    // The size is that of what stays: the newest two have 3000 bytes.
    auto by_size = parsed({"history", "prune", "--max-size", "3K", "--json"});
    ASSERT_EQ(by_size["removed"].size(), 1u);
    EXPECT_EQ(by_size["removed"][0]["id"], oldest.id);
    EXPECT_FALSE(has_folder(oldest));
    EXPECT_THAT(names({}), ElementsAre("newest", "middle"));
    EXPECT_THAT(home_.run({"history", "prune", "--older-than", "59m", "--name", "mid*"}).err,
                HasSubstr("removed 1 run, 2.0 KiB of logs and artifacts"));
    EXPECT_FALSE(has_folder(middle));
    EXPECT_TRUE(has_folder(newest));
    EXPECT_THAT(home_.run({"history", "prune", "--older-than", "30d"}).err, HasSubstr("removed 0 runs"));
    EXPECT_THAT(home_.run({"history", "prune", "--keep", "0"}).err, HasSubstr("removed 1 run"));
    EXPECT_THAT(names({}), IsEmpty());
}

TEST_F(HistoryVerbsTest, PruneLeavesTheLiving) {
    auto run = finished("alive", 0);
    run.status = store::RunStatus::running;
    run.finished_at.reset();
    run.owner = own_identity();
    std::filesystem::create_directories(home_.layout().run_dir(run.id));
    insert(run);
    EXPECT_THAT(home_.run({"history", "prune", "--keep", "0"}).err, HasSubstr("removed 0 runs"));
    EXPECT_TRUE(has_folder(run));
    EXPECT_THAT(names({}), ElementsAre("alive"));
}

TEST_F(HistoryVerbsTest, PruneTouchesNoFolderThatARowNames) {
    auto run = finished("hostile", 0);
    run.id = "../../precious";
    home_.write("precious", "x");
    auto kept = std::filesystem::path(home_.path("precious"));
    insert(run);
    EXPECT_EQ(home_.run({"history", "prune", "--keep", "0"}).code, 0);
    EXPECT_TRUE(std::filesystem::exists(kept));
    EXPECT_THAT(names({}), IsEmpty());
}

TEST_F(HistoryVerbsTest, SqlInEachFormat) {
    insert(finished("one", 0));
    auto two = finished("two, \"quoted\"", 3);
    two.error = "said \x1b[2J";
    insert(two);
    EXPECT_EQ(home_.run({"history", "sql", "SELECT name, exit_code FROM runs ORDER BY exit_code", "--csv"}).out,
              "name,exit_code\none,0\n\"two, \"\"quoted\"\"\",3\n");
    EXPECT_EQ(parsed({"history", "sql", "SELECT name, signal, 1.5 AS x FROM runs WHERE exit_code = 0", "--json"}),
              json::parse(R"([{"name": "one", "signal": null, "x": 1.5}])"));
    EXPECT_EQ(home_.run({"history", "sql", "SELECT 1 WHERE 0", "--json"}).out, "[]\n");
    EXPECT_EQ(home_.run({"history", "sql", "SELECT 1 AS a WHERE 0", "--csv"}).out, "a\n");
    auto table = home_.run({"history", "sql", "SELECT name, error FROM runs ORDER BY exit_code"});
    EXPECT_THAT(table.out, HasSubstr("one"));
    EXPECT_THAT(table.out, Not(HasSubstr("\x1b")));
    auto cut = home_.run({"history", "sql", "SELECT name FROM runs", "--limit", "1"});
    EXPECT_THAT(cut.err, HasSubstr("there are more rows than 1"));
    auto wrong = home_.run({"history", "sql", "DELETE FROM main.runs"});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.err, HasSubstr("may only read the views"));
    auto slow = home_.run({"history", "sql", "--timeout", "20ms",
                           "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"});
    EXPECT_EQ(slow.code, 1);
    EXPECT_THAT(slow.err, HasSubstr("took longer than"));
    auto function = home_.run(
        {"history", "sql", "--timeout", "200ms", "SELECT instr(hex(zeroblob(300000)), hex(zeroblob(150000)) || '1')"});
    EXPECT_EQ(function.code, 1) << "no answer behind the limit, though the function cannot be interrupted";
    EXPECT_EQ(home_.run({"history", "sql", "--limit", "1000000", "SELECT 1"}).code, 2) << "a table is held whole";
    EXPECT_EQ(home_.run({"history", "sql", "--limit", "1000000", "--csv", "SELECT 1"}).code, 0);
}

TEST_F(HistoryVerbsTest, ExportWritesAllOfThem) {
    for (int i = 0; i < 60; ++i) insert(finished("n" + std::to_string(i), 0));
    auto lines = home_.run({"history", "export"}).out;
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 60);
    EXPECT_EQ(json::parse(lines.substr(0, lines.find('\n')))["name"], "n59");
    auto csv = home_.run({"history", "export", "--format", "csv", "--name", "n1", "--limit", "5"}).out;
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 2);
    EXPECT_THAT(csv, HasSubstr("id,name,batch,job,"));
    EXPECT_THAT(csv, HasSubstr(",n1,,,"));
    EXPECT_EQ(home_.run({"history", "export", "--format", "xml"}).code, 2);
    EXPECT_EQ(home_.shell("$V history export | head -n 1 | wc -l").out, "1\n");
}

TEST_F(HistoryVerbsTest, GrepFindsOutput) {
    auto one = finished("one", 0);
    insert(one);
    insert(finished("two", 0));
    {
        auto store = store::Store::open(home_.layout().database(), clock_);
        ASSERT_TRUE(store);
        ASSERT_TRUE(store::History(*store).index_output(one.id, "Connection refused"));
    }
    EXPECT_THAT(names({"--grep", "connection"}), ElementsAre("one"));
    EXPECT_THAT(names({"--grep", "refused connection"}), IsEmpty());
    auto wrong = home_.run({"history", "--grep", "--- !"});
    EXPECT_EQ(wrong.code, 2);
    EXPECT_THAT(wrong.err, HasSubstr("there is no word in"));
}

TEST_F(HistoryVerbsTest, PlotIsDrawn) {
    EXPECT_EQ(home_.run({"history", "--plot"}).out, "");
    for (int i = 0; i < 5; ++i) insert(finished("n", i % 2));
    auto plot = home_.run({"history", "--plot"}).out;
    EXPECT_EQ(std::count(plot.begin(), plot.end(), '\n'), 18);
    EXPECT_THAT(plot, HasSubstr("  3.0s │"));
    EXPECT_EQ(home_.run({"history", "--plot", "--json"}).code, 2);
}

TEST_F(HistoryVerbsTest, NothingThatARowHoldsDrivesTheTerminal) {
    auto bad = finished("bad", 3);
    const std::string evil = "\x1b]0;x\a\x1b[31m\xc2\x9b\n\r";
    bad.name = bad.error = bad.reason = bad.image_source = bad.accel = bad.net_mode = bad.kernel_path = evil;
    bad.labels = {{"k" + evil, "v" + evil}};
    bad.net_denied = {{evil, 1, 1}};
    bad.manifest = "name = \"" + evil + "\"\n";
    insert(bad);
    const std::vector<std::vector<std::string>> views{
        {"history"},
        {"history", "show", bad.id},
        {"history", "show", bad.id, "--json"},
        {"history", "show", bad.id, "--manifest"},
        {"history", "--json"},
        {"history", "--names"},
        {"history", "stats", "--by", "name,reason,label:k" + evil},
        {"history", "stats", "--by", "name,reason,label:k" + evil, "--json"},
        {"history", "diff", bad.id, bad.id},
        {"history", "export"},
        {"history", "export", "--format", "csv"},
        {"history", "sql", "SELECT name, error AS \"" + evil + "\" FROM runs"},
        {"history", "sql", "--csv", "SELECT name, error AS \"" + evil + "\" FROM runs"},
        {"history", "sql", "--json", "SELECT name, error AS \"" + evil + "\" FROM runs"},
        {"rerun", bad.id},
    };
    for (auto words : views) {
        auto name = words[0] + " " + (words.size() > 1 ? words[1] : "");
        words.insert(words.begin() + (words[0] == "history" && words.size() > 1 && !words[1].starts_with("-") ? 2 : 1),
                     "--color=never");
        auto shown = home_.run_on_terminal(words).out;
        EXPECT_FALSE(shown.empty()) << name;
        for (const char* control : {"\x1b", "\a", "\xc2\x9b"}) EXPECT_THAT(shown, Not(HasSubstr(control))) << name;
    }
    // A file gets the bytes as they are.
    EXPECT_THAT(home_.run({"history", "export", "--format", "csv"}).out, HasSubstr("\x1b]0;x\a"));
}

TEST_F(HistoryVerbsTest, PlotFitsTheTerminalAndPaintsWhatFailed) {
    for (int i = 0; i < 5; ++i) insert(finished("n", i % 2));
    auto plot = home_.run_on_terminal({"history", "--plot"}, 60).out;
    EXPECT_THAT(plot, HasSubstr("\x1b[31m"));
    auto plain = home_.run_on_terminal({"history", "--plot", "--color=never"}, 60).out;
    std::istringstream lines(plain);
    for (std::string line; std::getline(lines, line);) {
        auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
        EXPECT_LE(line.size() - static_cast<std::size_t>(std::ranges::count_if(line, continues)), 61u) << line;
    }
}

TEST_F(HistoryVerbsTest, ShellsCompleteIdsAndNames) {
    auto one = finished("one", 0);
    insert(one);
    EXPECT_EQ(home_.run({"history", "--names"}).out, one.id.substr(0, 14) + "\none\n");
    EXPECT_EQ(home_.run({"batch", "ls", "--names"}).out, "");
    auto offered = home_.shell(
        "eval \"$($V completion bash)\"; COMP_WORDS=(\"$V\" history show on); COMP_CWORD=3; _vmette; "
        "echo \"${COMPREPLY[*]}\"");
    EXPECT_EQ(offered.out, "one\n");
}

TEST_F(HistoryVerbsTest, DamagedHistoryIsRecovered) {
    insert(finished("one", 0));
    EXPECT_THAT(home_.run({"history", "recover"}).err, HasSubstr("the history is sound"));
    auto file = home_.layout().database().string();
    EXPECT_EQ(home_
                  .shell("sqlite3 " + file + " 'PRAGMA wal_checkpoint(TRUNCATE)' && root=$(sqlite3 " + file +
                         " \"SELECT rootpage FROM sqlite_schema WHERE name = 'runs_by_time'\") && "
                         "head -c 4096 /dev/zero | tr '\\0' X | dd of=" +
                         file + " bs=4096 seek=$((root - 1)) conv=notrunc status=none")
                  .code,
              0);
    auto damaged = home_.run({"history"});
    EXPECT_EQ(damaged.code, 1);
    EXPECT_THAT(damaged.err, HasSubstr("\"vmette doctor\" says what can be saved"));
    auto dry = parsed({"history", "recover", "--dry-run", "--json"});
    EXPECT_EQ(dry["runs"], 1);
    EXPECT_EQ(dry["kept_as"], nullptr);
    auto done = home_.run({"history", "recover"});
    EXPECT_EQ(done.code, 0);
    EXPECT_THAT(done.err, HasSubstr("saved 1 run and "));
    EXPECT_THAT(done.err, HasSubstr("the damaged file is " + file + ".damaged-"));
    EXPECT_THAT(names({}), ElementsAre("one"));
}

TEST_F(HistoryVerbsTest, RerunRefusesWhatItCannotRepeat) {
    EXPECT_EQ(home_.run({"rerun", "nobody"}).code, 125);
    auto broken = finished("broken", 0);
    broken.manifest = "schema = 1\nnmae = \"x\"\n";
    insert(broken);
    auto result = home_.run({"rerun", "broken"});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("run " + broken.id));
    auto gone = finished("gone", 0);
    gone.image_source = "tar+file://" + home_.path("gone.tar");
    gone.manifest = "schema = 1\nname = \"gone\"\nrootfs = \"" + gone.image_source + "\"\nexec = [\"true\"]\n";
    gone.image_digest = "sha256:" + std::string(64, 'a');
    insert(gone);
    EXPECT_NE(home_.run({"rerun", "gone"}).code, 0);
}

TEST_F(HistoryVerbsTest, ShowTellsTheCommandAndWhatTheRegistryCallsTheImage) {
    auto run = finished("argv", 0);
    run.manifest = "schema = 1\nexec = [\"python3\", \"-c\", \"print(1)\"]\n";
    run.image_source = "registry.example/app:1";
    run.image_digest = "sha256:" + std::string(64, 'a');
    insert(run);
    insert(finished("own", 0));
    EXPECT_THAT(
        home_.run({"history", "show", "argv"}).out,
        AllOf(HasSubstr("\ncommand       [\"python3\", \"-c\", \"print(1)\"]\n"), Not(HasSubstr("registry  "))));
    EXPECT_THAT(home_.run({"history", "show", "own"}).out, HasSubstr("\ncommand       the image's own\n"));

    store::StoredImage image{.digest = run.image_digest, .source = run.image_source, .provider = "oci"};
    image.validator = "sha256:" + std::string(64, 'b');
    auto store = store::Store::open(home_.layout().database(), clock_);
    ASSERT_TRUE(store && store->put_image(image));
    EXPECT_THAT(home_.run({"history", "show", "argv"}).out, HasSubstr("\nregistry      " + image.validator + "\n"));
}

TEST_F(HistoryVerbsTest, BatchIsNamedAsTheBatchVerbsTakeIt) {
    auto batch = make_ulid(clock_.now().time_since_epoch().count());
    auto of_batch = finished("job", 0);
    of_batch.batch = batch;
    of_batch.job = "job";
    insert(of_batch);
    insert(finished("alone", 0));
    auto store = store::Store::open(home_.layout().database(), clock_);
    ASSERT_TRUE(store);
    EXPECT_EQ(names({"--batch", batch}), std::vector<std::string>{"job"}) << "its batch's row is gone";
    EXPECT_EQ(home_.run({"history", "--batch", batch.substr(0, 20)}).code, 1);
    store::BatchRecord record;
    record.id = batch;
    record.name = "nightly";
    record.created_at = clock_.now();
    auto writer = store::Batches(*store).create(record.id);
    ASSERT_TRUE(writer && writer->commit(record));
    EXPECT_EQ(names({"--batch", batch.substr(0, 20)}), std::vector<std::string>{"job"});
    EXPECT_EQ(names({"--batch", "nightly"}), std::vector<std::string>{"job"});
}

TEST_F(HistoryVerbsTest, RerunReadsNoDefaultsButHearsOfAWrongConfig) {
    auto run = finished("old", 0);
    run.manifest = "schema = 1\nrootfs = \"registry.example/app:1\"\n";
    insert(run);
    std::filesystem::create_directories(home_.layout().config);
    std::ofstream(home_.layout().config_file()) << "[defaults]\nvcpus = \"wrong\"\n[images]\nttl = \"soon\"\n";
    auto refused = home_.run({"rerun", "old"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.err, AllOf(HasSubstr(":4:7: error: images.ttl must be"), HasSubstr("\n    ttl = \"soon\"\n"),
                                   Not(HasSubstr("vcpus"))));
}

}  // namespace
}  // namespace vmette::cli
