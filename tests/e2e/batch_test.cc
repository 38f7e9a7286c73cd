/// `vmette batch` over real guests: what users see of it, and what faults make of it.

#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <csignal>
#include <set>

#include "e2e/batch_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

std::size_t machines_of(pid_t vmette) {
    std::size_t count = 0;
    for (const auto& process : descendants(vmette)) count += process.name.starts_with("qemu-system") ? 1 : 0;
    return count;
}

TEST_F(BatchTest, FewDescriptorsMakeASmallPoolNotFailures) {
    auto file = batch("few", "[[job]]\nname = \"job-{{n}}\"\nexec = \"true\"\nmatrix.n = [1, 2, 3, 4]\n", 4);
    auto finished =
        home().vmette({"batch", "run", file.string()}, seconds(120), {.wrapper = {"prlimit", "--nofile=64"}});
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(finished.err, HasSubstr("the limit of open files, 64, lets 1 of 4 machines run at once (`ulimit -n`)"));
}

TEST_F(BatchTest, MatrixAndNeedsRunInTheirOrderAndLeaveTheirResults) {
    auto file = batch("grid", R"(
[[job]]
name = "first"
exec = "echo first; echo told >&2"
[[job]]
name = "cell-{{a}}-{{b}}"
exec = "echo {{a}} {{b}}"
needs = ["first"]
matrix = { a = [1, 2], b = ["x; echo injected", "y"] }
[[job]]
name = "last"
exec = "exit 3"
needs = ["cell-{{a}}-{{b}}"]
[[job]]
name = "never"
exec = "true"
needs = ["last"]
)");
    // A name may not hold what the matrix makes of it.
    auto refused = run(file);
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.err, HasSubstr("cell-1-x; echo injected"));
    EXPECT_TRUE(home().runs().empty());

    file = batch("grid", R"(
[[job]]
name = "first"
exec = "echo first; echo told >&2"
[[job]]
name = "cell-{{a}}-{{n}}"
exec = "echo {{a}} {{b}}"
from = "rows.jsonl"
needs = ["first"]
matrix = { a = [1, 2] }
[[job]]
name = "last"
exec = "exit 3"
needs = ["cell-{{a}}-{{n}}"]
[[job]]
name = "never"
exec = "true"
needs = ["last"]
)");
    home().write("rows.jsonl", "{\"n\": 1, \"b\": \"x; echo injected $(id) `id`\"}\n{\"n\": 2, \"b\": \"y\"}\n");
    auto finished = run(file, {"--json"});
    EXPECT_EQ(finished.code, 1) << finished;
    auto counts = Json::parse(finished.out)["counts"];
    EXPECT_EQ(counts["succeeded"], 5) << finished.out;
    EXPECT_EQ(counts["failed"], 1);
    EXPECT_EQ(counts["skipped"], 1);
    EXPECT_EQ(result("first", "stdout.log"), "first\n");
    EXPECT_EQ(result("first", "stderr.log"), "told\n");
    EXPECT_EQ(result("cell-1-1", "stdout.log"), "1 x; echo injected $(id) `id`\n");
    EXPECT_EQ(result("cell-2-2", "stdout.log"), "2 y\n");
    auto document = Json::parse(result("last", "run.json"));
    EXPECT_EQ(document["exit_code"], 3);
    EXPECT_EQ(document["job"], "last");
    EXPECT_EQ(document["attempt"], 1);
    auto found = jobs("grid");
    EXPECT_EQ(found["last"]["reason"], "exited");
    EXPECT_THAT(found["never"]["message"].dump(), HasSubstr("last"));
    // Every attempt is a run of the history, by its batch.
    auto id = show("grid")["id"].get<std::string>();
    auto runs = Json::parse(home().vmette({"history", "--batch", id, "--json"}).out);
    EXPECT_EQ(runs.size(), 6u);
    EXPECT_THAT(home().leftovers(), IsEmpty());
}

TEST_F(BatchTest, KilledSchedulerIsResumedAndNothingRunsTwice) {
    auto file = batch("kill", R"(
[[job]]
name = "done-{{n}}"
exec = "echo {{n}}"
priority = 5
matrix.n = [1, 2, 3]
[[job]]
name = "cut"
exec = "echo begun; sleep 30"
retry.on = ["vm-error"]
[[job]]
name = "cut-again"
exec = "echo begun; [ -e /nothing ] || sleep 2"
retry = { max = 1, on = ["lost"], backoff = "0" }
[[job]]
name = "later-{{n}}"
exec = "echo {{n}}"
needs = ["done-{{n}}"]
priority = -5
matrix.n = [1, 2, 3]
)");
    auto process = home().start({"batch", "run", file.string(), "--events", events().string()});
    ASSERT_TRUE(process.until([&] { return executions() == 5; }, seconds(60))) << process.err();
    auto started = descendants(process.pid());
    process.signal(SIGKILL);
    EXPECT_EQ(process.finish().signal, SIGKILL);
    EXPECT_TRUE(eventually([&] { return survivors(started).empty(); }, seconds(2))) << describe(survivors(started));

    auto before = show("kill");
    EXPECT_EQ(before["status"], "interrupted");
    EXPECT_EQ(before["counts"]["running"], 0) << "nothing runs that nobody drives";
    EXPECT_EQ(before["counts"]["unknown"], 1) << before;
    auto resumed = home().vmette({"batch", "resume", "kill"}, seconds(120));
    EXPECT_EQ(resumed.code, 1) << resumed;
    auto found = jobs("kill");
    for (int n = 1; n <= 3; ++n) {
        EXPECT_EQ(found[fmt::format("done-{}", n)]["attempts"], 1);
        EXPECT_EQ(found[fmt::format("later-{}", n)]["state"], "succeeded");
    }
    // Its outcome is not known, and nobody said that it may be repeated.
    EXPECT_EQ(found["cut"]["state"], "unknown");
    EXPECT_EQ(found["cut"]["reason"], "lost");
    EXPECT_EQ(found["cut"]["attempts"], 1);
    EXPECT_EQ(Json::parse(result("cut", "run.json"))["status"], "lost");
    EXPECT_EQ(Json::parse(result("cut-again/attempts/1", "run.json"))["status"], "lost");
    EXPECT_EQ(found["cut-again"]["state"], "succeeded");
    EXPECT_EQ(found["cut-again"]["attempts"], 2);
    EXPECT_THAT(home().leftovers(), IsEmpty());
}

TEST_F(BatchTest, RunningJobIsASessionLikeAnyRun) {
    auto file = batch("live", "[[job]]\nname = \"held\"\nexec = \"until [ -e /go ]; do sleep 0.1; done; cat /go\"\n");
    auto process = home().start({"batch", "run", file.string(), "--events", events().string()});
    ASSERT_TRUE(process.until([&] { return executions() == 1; }, seconds(60))) << process.err();
    const Json live = Json::parse(home().vmette({"ps", "--json"}).out);
    ASSERT_EQ(live.size(), 1U);
    EXPECT_EQ(live[0]["batch"], show("live")["id"]);
    EXPECT_EQ(live[0]["job"], "held");
    auto id = live[0]["id"].get<std::string>();
    EXPECT_EQ(home().vmette({"exec", id, "--", "sh", "-c", "echo $VMETTE_JOB"}).out, "held\n");
    home().write("go", "from the host\n");
    EXPECT_EQ(home().vmette({"cp", (home().folder() / "go").string(), id + ":/go"}).code, 0);
    auto finished = process.finish(seconds(60));
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(result("held", "stdout.log"), "from the host\n");
}

TEST_F(BatchTest, InterruptLetsJobsFinishAndTheSameFileGoesOn) {
    auto file = batch("stop", R"(
[[job]]
name = "job-{{n}}"
exec = "sleep 1; echo {{n}}"
matrix.n = [1, 2, 3, 4]
)");
    auto process = home().start({"batch", "run", file.string()});
    ASSERT_TRUE(process.until([&] { return machines_of(process.pid()) == 2; }, seconds(30))) << process.err();
    process.signal(SIGINT);
    auto finished = process.finish();
    EXPECT_EQ(finished.code, 130) << finished;
    EXPECT_EQ(show("stop")["counts"]["pending"].get<int>() + show("stop")["counts"]["succeeded"].get<int>(), 4);
    auto again = run(file);
    EXPECT_EQ(again.code, 0) << again;
    EXPECT_THAT(again.err, HasSubstr("what it has not finished is run")) << again;
    auto listed = Json::parse(home().vmette({"batch", "ls", "--json"}).out);
    EXPECT_EQ(listed.size(), 1u);
    for (int n = 1; n <= 4; ++n) EXPECT_EQ(result(fmt::format("job-{}", n), "stdout.log"), fmt::format("{}\n", n));
}

TEST_F(BatchTest, SecondInterruptStopsAtOnce) {
    auto file = batch("now", "[[job]]\nname = \"long-{{n}}\"\nexec = \"trap '' TERM; sleep 50\"\nmatrix.n = [1, 2]\n");
    auto process = home().start({"batch", "run", file.string()});
    ASSERT_TRUE(process.until([&] { return machines_of(process.pid()) == 2; }, seconds(30))) << process.err();
    process.signal(SIGINT);
    ASSERT_TRUE(process.until_err("no new jobs"));
    process.signal(SIGINT);
    auto finished = process.finish(seconds(5));
    EXPECT_EQ(finished.code, 130) << finished;
    EXPECT_EQ(show("now")["status"], "interrupted");
    EXPECT_THAT(home().leftovers(), IsEmpty());
}

TEST_F(BatchTest, MachineThatIsKilledFromOutsideIsTriedAgain) {
    auto file = batch("cut", R"(
[[job]]
name = "victim"
exec = "echo on; sleep 2; echo off"
retry = { max = 2, on = ["vm-error"], backoff = "0" }
)");
    auto process = home().start({"batch", "run", file.string(), "--events", events().string()});
    ASSERT_TRUE(process.until([&] { return executions() == 1; }, seconds(30))) << process.err();
    auto machine = find_descendant(process.pid(), "qemu-system");
    ASSERT_TRUE(machine);
    ASSERT_EQ(::kill(machine->identity.pid, SIGKILL), 0);
    auto finished = process.finish();
    EXPECT_EQ(finished.code, 0) << finished;
    auto job = jobs("cut")["victim"];
    EXPECT_EQ(job["attempts"], 2);
    EXPECT_EQ(result("victim", "stdout.log"), "on\noff\n");
    // The first attempt's own files are there beside the last one's.
    EXPECT_EQ(Json::parse(result("victim/attempts/1", "run.json"))["reason"], "vm-error");
}

TEST_F(BatchTest, MachineThatNeverBootsFailsItsJobAlone) {
    auto file = batch("dead", fmt::format(R"(
[[job]]
name = "dead"
exec = "true"
vm = {{ initramfs = "{}", cmdline = "hostile=hang" }}
limits.boot_timeout = "2s"
retry = {{ max = 1, on = ["vm-error"], backoff = "0" }}
[[job]]
name = "alive"
exec = "true"
)",
                                          (build_dir() / "tests/e2e/hostile.cpio").string()));
    auto finished = run(file);
    EXPECT_EQ(finished.code, 1) << finished;
    auto found = jobs("dead");
    EXPECT_EQ(found["dead"]["state"], "failed");
    EXPECT_EQ(found["dead"]["reason"], "vm-error");
    EXPECT_EQ(found["dead"]["attempts"], 2);
    EXPECT_EQ(found["alive"]["state"], "succeeded");
}

TEST_F(BatchTest, SecondProcessIsToldWhoDrivesIt) {
    auto file = batch("one", "[[job]]\nname = \"long\"\nexec = \"sleep 2\"\n");
    auto process = home().start({"batch", "run", file.string()});
    ASSERT_TRUE(process.until([&] { return machines_of(process.pid()) == 1; }, seconds(30))) << process.err();
    auto second = home().vmette({"batch", "resume", "one"});
    EXPECT_EQ(second.code, 1) << second;
    EXPECT_THAT(second.err, HasSubstr(fmt::format("{}", process.pid())));
    EXPECT_EQ(process.finish().code, 0);
    EXPECT_EQ(home().runs().size(), 1u);
}

TEST_F(BatchTest, SharedPoolBoundsAllProcesses) {
    const std::string jobs =
        "[pool]\nshared = true\nvms = 2\n[[job]]\nname = \"j{{n}}\"\nexec = \"sleep 0.5\"\nmatrix.n = [1, 2, 3]\n";
    std::vector<VmetteProcess> schedulers;
    for (const char* name : {"left", "middle", "right"}) {
        auto file =
            home().write(std::string(name) + ".toml",
                         fmt::format("sandbox = {{ rootfs = \"squashfs+file://{}\", limits.memory = \"96M\" }}\n{}",
                                     busybox_image().string(), jobs));
        schedulers.push_back(home().start({"batch", "run", file.string()}));
    }
    std::size_t most = 0;
    auto all_ended = [&] {
        std::size_t now = 0;
        for (const auto& scheduler : schedulers) now += machines_of(scheduler.pid());
        most = std::max(most, now);
        return home().vmette({"batch", "ls", "--json"}).out.find("\"status\": \"running\"") == std::string::npos;
    };
    for (auto& scheduler : schedulers) scheduler.until([&] { return all_ended() && most > 0; }, seconds(90));
    for (auto& scheduler : schedulers) EXPECT_EQ(scheduler.finish().code, 0) << scheduler.err();
    EXPECT_LE(most, 2u);
    EXPECT_GE(most, 1u);
    EXPECT_EQ(home().runs().size(), 9u);
}

TEST_F(BatchTest, ResultsThatCannotBeWrittenStartNothing) {
    auto file = batch("shut", "[[job]]\nname = \"job\"\nexec = \"true\"\n");
    home().write("results", "a file");
    auto finished = run(file);
    EXPECT_NE(finished.code, 0);
    EXPECT_THAT(finished.err, HasSubstr("the results folder " + results().string()));
    EXPECT_TRUE(home().runs().empty());
}

TEST_F(BatchTest, WhatCannotBeWrittenLeavesNoBatch) {
    auto file = batch("shut", "[[job]]\nname = \"job\"\nexec = \"true\"\n");
    auto events = run(file, {"--events", "/no/such/folder/events"});
    EXPECT_NE(events.code, 0);
    home().write("results", "a file");
    EXPECT_NE(run(file).code, 0);
    EXPECT_EQ(Json::parse(home().vmette({"batch", "ls", "--json"}).out), Json::array());
}

TEST_F(BatchTest, WhatIsOverIsNotResumedAndAWrongNameChangesNothing) {
    auto file = batch("over", "[[job]]\nname = \"bad\"\nexec = \"false\"\n");
    EXPECT_EQ(run(file).code, 1);
    auto before = show("over");
    auto resumed = home().vmette({"batch", "resume", "over"});
    EXPECT_EQ(resumed.code, 1) << resumed;
    EXPECT_THAT(resumed.err, HasSubstr("has ended (failed)"));
    EXPECT_EQ(home().vmette({"batch", "retry", "over", "nojob"}).code, 1);
    EXPECT_EQ(show("over"), before);
    EXPECT_EQ(home().vmette({"batch", "retry", "over"}, seconds(60)).code, 1);
    EXPECT_EQ(jobs("over")["bad"]["attempts"], 2);
}

TEST_F(BatchTest, ResultsOfEarlierBatchesAreSetAside) {
    auto file = batch("twice",
                      "[[job]]\nname = \"first\"\nexec = \"true\"\n[[job]]\nname = \"second\"\nneeds = "
                      "[\"first\"]\nexec = \"true\"\n");
    EXPECT_EQ(run(file).code, 0);
    auto finished = run(batch("twice",
                              "[[job]]\nname = \"first\"\nexec = \"false\"\n[[job]]\nname = \"second\"\nneeds = "
                              "[\"first\"]\nexec = \"true\"\n"));
    EXPECT_EQ(finished.code, 1) << finished;
    EXPECT_EQ(Json::parse(result("first", "run.json"))["exit_code"], 1);
    EXPECT_EQ(result("second", "run.json"), "(none)") << "it was skipped";
    EXPECT_EQ(Json::parse(result("second/attempts/1", "run.json"))["exit_code"], 0);
}

TEST_F(BatchTest, BrokenRowFiveThousandStartsNothing) {
    std::string rows;
    for (int n = 1; n < 5000; ++n) rows += fmt::format("{{\"n\": {}}}\n", n);
    home().write("rows.jsonl", rows + "{\"n\": 5000\n" + "{\"n\": 5001}\n");
    auto file = batch("rows", "[[job]]\nname = \"job-{{n}}\"\nexec = \"true\"\nfrom = \"rows.jsonl\"\n");
    auto finished = run(file);
    EXPECT_EQ(finished.code, 2);
    EXPECT_THAT(finished.err, HasSubstr("rows.jsonl:5000:"));
    EXPECT_TRUE(home().runs().empty());
}

TEST_F(BatchTest, FullDiskUnderTheResultsIsSaidAndCostsNoJob) {
    std::filesystem::create_directory(results());
    if (::mount("none", results().c_str(), "tmpfs", 0, "size=64k") != 0)
        GTEST_SKIP() << "no right to mount a file system";
    auto file =
        batch("full", "[[job]]\nname = \"big-{{n}}\"\nexec = \"head -c 40000 /dev/zero\"\nmatrix.n = [1, 2, 3]\n");
    auto finished = run(file);
    ::umount2(results().c_str(), MNT_DETACH);
    EXPECT_EQ(show("full")["counts"]["succeeded"], 3) << finished;
    EXPECT_THAT(finished.err, HasSubstr("No space left on device")) << finished;
    // What did not fit there is still in the history.
    for (const auto& one : home().runs()) {
        auto logs = home().vmette({"history", "logs", one["id"].get<std::string>()});
        EXPECT_EQ(logs.out.size(), 40000u);
    }
}

TEST_F(BatchTest, CancelFromAnotherTerminalEndsIt) {
    auto file = batch("off", R"(
[[job]]
name = "long"
exec = "sleep 50"
[[job]]
name = "other"
exec = "sleep 50"
[[job]]
name = "next"
exec = "true"
needs = ["long"]
)");
    auto process = home().start({"batch", "run", file.string()});
    ASSERT_TRUE(process.until([&] { return machines_of(process.pid()) == 2; }, seconds(30))) << process.err();
    EXPECT_EQ(home().vmette({"batch", "cancel", "off", "long"}).code, 0);
    ASSERT_TRUE(process.until([&] { return jobs("off")["long"]["state"] == "cancelled"; }, seconds(20)))
        << process.err();
    EXPECT_EQ(jobs("off")["other"]["state"], "running");
    EXPECT_EQ(home().vmette({"batch", "cancel", "off"}).code, 0);
    EXPECT_EQ(process.finish(seconds(20)).code, 1);
    auto found = jobs("off");
    EXPECT_EQ(found["other"]["state"], "cancelled");
    EXPECT_EQ(found["next"]["state"], "skipped");
    EXPECT_EQ(show("off")["status"], "cancelled");
}

}  // namespace
}  // namespace vmette::testing
