/// `cache = true`: batches run twice, with real guests.

#include <signal.h>

#include <filesystem>
#include <fstream>

#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class ReuseTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (IsSkipped()) return;
        for (const char* name : {"one", "two"}) {
            fs::create_directory(home().folder() / name);
            write(fs::path(name) / "file", name);
        }
    }
    void write(const fs::path& name, std::string_view text) const { std::ofstream(home_->folder() / name) << text; }
    std::string read(const fs::path& name) const {
        std::ifstream file(home_->folder() / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    /// A batch whose jobs start from a small box.
    fs::path batch(const std::string& jobs) {
        return home().write("jobs.toml", fmt::format(R"(
name = "reuse"
[batch]
results = "./results"
[sandbox]
rootfs = "squashfs+file://{}"
scratch = 0
limits = {{ memory = "128M", timeout = "60s", boot_timeout = "60s" }}
{})",
                                                     busybox_image().string(), jobs));
    }
    /// Two jobs with a folder each.
    fs::path two_jobs() {
        return batch(R"(
[[job]]
name = "{{which}}"
exec = "cat /in/file; echo noise >&2"
shares = ["./{{which}}:/in:ro"]
cache = true
matrix.which = ["one", "two"]
)");
    }
    Finished run(const fs::path& file, const std::vector<std::string>& flags = {}) {
        std::vector<std::string> words{"batch", "run", file};
        words.insert(words.end(), flags.begin(), flags.end());
        return home().vmette(words, seconds(150));
    }
    Json show() { return Json::parse(home().vmette({"batch", "show", "reuse", "--json"}).out); }
    Json explain(const std::string& job) {
        return Json::parse(home().vmette({"batch", "explain", "reuse", job, "--json"}).out);
    }
    std::string explained(const std::string& job) { return home().vmette({"batch", "explain", "reuse", job}).out; }
};

TEST_F(ReuseTest, SecondBatchStartsNoMachineAndHasTheResults) {
    auto file = two_jobs();
    auto first = run(file);
    ASSERT_EQ(first.code, 0) << first;
    ASSERT_EQ(home().runs().size(), 2U);
    EXPECT_THAT(explained("one"),
                AllOf(HasSubstr("no success of equal inputs is stored"), HasSubstr("its result was stored")));
    auto events = home().folder() / "events.jsonl";
    auto second = run(file, {"--events", events.string()});
    ASSERT_EQ(second.code, 0) << second;
    EXPECT_EQ(home().runs().size(), 2U) << "no machine";
    EXPECT_THAT(second.err, AllOf(HasSubstr("ok         one"), HasSubstr("(reused)"), HasSubstr("2 of them reused")));
    EXPECT_EQ(read("results/one/stdout.log"), "one");
    EXPECT_EQ(read("results/two/stdout.log"), "two");
    EXPECT_EQ(read("results/two/stderr.log"), "noise\n");
    EXPECT_EQ(read("results/one/attempts/1/stdout.log"), "one") << "the first batch's";
    auto job = show()["jobs"][0];
    EXPECT_EQ(job["reused"], true);
    EXPECT_EQ(job["state"], "succeeded");
    EXPECT_EQ(Json::parse(read("results/one/run.json"))["id"], job["run_id"]);
    EXPECT_THAT(read("events.jsonl"), HasSubstr("\"reused\": true"));
    EXPECT_THAT(explained("one"), HasSubstr("it did not run: the result of run " + job["run_id"].get<std::string>()));
    auto report = home().vmette({"batch", "report", "reuse", "--junit", "-"});
    EXPECT_THAT(report.out, HasSubstr("<property name=\"reused_run\" value=\""));
    EXPECT_THAT(home().vmette({"batch", "show", "reuse"}).out, HasSubstr("reused"));
}

TEST_F(ReuseTest, ChangedFileRunsExactlyItsJobAndIsNamed) {
    auto file = two_jobs();
    ASSERT_EQ(run(file).code, 0);
    write("two/file", "changed");
    write("two/new", "");
    auto second = run(file);
    ASSERT_EQ(second.code, 0) << second;
    EXPECT_EQ(home().runs().size(), 3U);
    EXPECT_EQ(home().runs().front()["job"], "two");
    EXPECT_EQ(read("results/two/stdout.log"), "changed");
    EXPECT_EQ(explain("one")["reused"], true);
    auto decision = explain("two")["decision"];
    ASSERT_EQ(decision["changes"].size(), 1U) << decision;
    EXPECT_EQ(decision["changes"][0]["input"], "shares.two");
    EXPECT_EQ(decision["changes"][0]["files"], Json({"changed file", "new new"}));
    EXPECT_THAT(explained("two"), AllOf(HasSubstr("shares.two"), HasSubstr("changed file")));
    // As it was before, it is the first batch's result again.
    write("two/file", "two");
    fs::remove(home().folder() / "two/new");
    ASSERT_EQ(run(file).code, 0);
    EXPECT_EQ(home().runs().size(), 3U);
    EXPECT_EQ(read("results/two/stdout.log"), "two");
}

TEST_F(ReuseTest, FailureRunsAgainAndWithoutCacheEverythingDoes) {
    auto file = batch(R"(
[[job]]
name = "fails"
exec = "exit 3"
cache = true
[[job]]
name = "works"
exec = "true"
cache = true
[[job]]
name = "plain"
exec = "true"
)");
    for (std::size_t runs : {3U, 5U}) {
        auto finished = run(file);
        EXPECT_EQ(finished.code, 1) << finished;
        EXPECT_EQ(home().runs().size(), runs);
    }
    EXPECT_THAT(explained("fails"), HasSubstr("a failure is never stored"));
    EXPECT_THAT(explained("plain"), HasSubstr("it does not say cache = true"));
    EXPECT_EQ(run(file, {"--no-cache"}).code, 1);
    EXPECT_EQ(home().runs().size(), 8U);
    EXPECT_THAT(explained("works"), HasSubstr("--no-cache was given"));
    auto none = home().vmette({"batch", "explain", "reuse", "wroks"});
    EXPECT_EQ(none.code, 1);
    EXPECT_THAT(none.err, HasSubstr("has no job wroks (did you mean works?)"));
}

TEST_F(ReuseTest, LogsThatAreGoneAreAMiss) {
    auto file = two_jobs();
    ASSERT_EQ(run(file).code, 0);
    auto run_id = explain("one")["run_id"].get<std::string>();
    fs::remove(home().layout().run_dir(run_id) / "stdout.log");
    ASSERT_EQ(run(file).code, 0);
    EXPECT_EQ(home().runs().size(), 3U);
    EXPECT_EQ(read("results/one/stdout.log"), "one");
    EXPECT_THAT(explained("one"), AllOf(HasSubstr(run_id), HasSubstr("is not there any more")));
    ASSERT_EQ(run(file).code, 0);
    EXPECT_EQ(home().runs().size(), 3U) << "the new one is whole";
}

TEST_F(ReuseTest, ShareThatChangesWhileTheJobRunsIsNotStored) {
    auto file = batch(R"(
[[job]]
name = "slow"
exec = "echo began; while ! grep -q changed /in/file; do sleep 0.1; done"
shares = ["./one:/in:ro"]
cache = true
)");
    auto process = home().start({"-v", "batch", "run", file});
    auto began = [&] {
        for (const auto& run : home().runs())
            if (run["started_at"] != nullptr) return true;
        return false;
    };
    ASSERT_TRUE(process.until(began, seconds(60))) << process.err();
    write("one/file", "changed");
    auto finished = process.finish();
    ASSERT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(finished.err, HasSubstr("its result is not stored for reuse: shares.one changed while the job ran"));
    EXPECT_THAT(explained("slow"), HasSubstr("its result was not stored: shares.one changed"));
    ASSERT_EQ(run(file).code, 0);
    EXPECT_EQ(home().runs().size(), 2U);
    ASSERT_EQ(run(file).code, 0);
    EXPECT_EQ(home().runs().size(), 2U) << "now it stood still";
}

TEST_F(ReuseTest, KilledBatchGoesOnWithWhatIsStored) {
    auto file = batch(R"(
[[job]]
name = "quick"
exec = "echo done"
priority = 1
cache = true
[[job]]
name = "slow"
exec = "if [ -s /in/stop ]; then sleep 60; fi; cat /in/file"
shares = ["./one:/in:ro"]
cache = true
retry.on = ["lost"]
retry.max = 1
)");
    write("one/stop", "yes");
    auto process = home().start({"batch", "run", file, "--pool.vms", "1"});
    auto second_began = [&] {
        auto runs = home().runs();
        return runs.size() == 2 && runs.front()["started_at"] != nullptr;
    };
    ASSERT_TRUE(process.until(second_began, seconds(90))) << process.err();
    process.signal(SIGKILL);
    process.finish();
    write("one/stop", "");
    auto resumed = home().vmette({"batch", "resume", "reuse"}, seconds(150));
    ASSERT_EQ(resumed.code, 0) << resumed;
    EXPECT_EQ(read("results/slow/stdout.log"), "one");
    EXPECT_EQ(home().runs().size(), 3U) << "quick once, slow lost and again";
    ASSERT_EQ(run(file, {"--new"}).code, 0);
    EXPECT_EQ(home().runs().size(), 3U) << "what was lost is not stored, what came of it is";
    EXPECT_EQ(read("results/quick/stdout.log"), "done\n");
    EXPECT_EQ(home().leftovers(), "");
}

TEST_F(ReuseTest, DamagedDatabaseRowIsAMissAndNoLie) {
    auto file = two_jobs();
    ASSERT_EQ(run(file).code, 0);
    auto damage = "sqlite3 " + home().layout().database().string() +
                  " \"UPDATE cached_results SET inputs = 'x' WHERE job = 'one';"
                  " UPDATE cached_results SET run_id = (SELECT run_id FROM cached_results WHERE job = 'one')"
                  " WHERE job = 'two'\"";
    if (std::system("command -v sqlite3 >/dev/null") != 0) GTEST_SKIP() << "needs sqlite3";
    ASSERT_EQ(std::system(damage.c_str()), 0);
    ASSERT_EQ(run(file).code, 0);
    EXPECT_EQ(read("results/one/stdout.log"), "one");
    EXPECT_EQ(read("results/two/stdout.log"), "two") << "the row names another job's run";
    EXPECT_EQ(home().runs().size(), 4U);
}

}  // namespace
}  // namespace vmette::testing
