#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "e2e/guest_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

/// A detached run that waits to be used.
class LiveTest : public GuestTest {
protected:
    void TearDown() override {
        if (!home_) return;
        home().vmette({"stop", "--now", "box"});
        EXPECT_EQ(home().leftovers(), "");
    }
    /// Its id.
    std::string detach(const std::string& line = "trap 'echo bye; exit 3' TERM; echo on; while :; do sleep 0.1; done",
                       const std::string& toml = "") {
        auto finished = home().vmette(home().up_shell(toml, line, {"--detach"}));
        EXPECT_EQ(finished.code, 0) << finished;
        EXPECT_EQ(finished.out.size(), 27u) << finished;
        return finished.out.substr(0, finished.out.find('\n'));
    }
    Finished exec(const std::string& line, const std::vector<std::string>& flags = {}, StartOptions options = {}) {
        std::vector<std::string> words{"exec", "box"};
        words.insert(words.end(), flags.begin(), flags.end());
        words.insert(words.end(), {"--", "/bin/sh", "-c", line});
        return home().vmette(words, seconds(60), std::move(options));
    }
    Finished cp(const std::string& from, const std::string& to, StartOptions options = {}) {
        return home().vmette({"cp", from, to}, seconds(60), std::move(options));
    }
    pid_t supervisor() {
        auto listed = Json::parse(home().vmette({"ps", "--json"}).out);
        return listed.empty() ? 0 : listed[0]["pid"].get<pid_t>();
    }
};

TEST_F(LiveTest, DetachedRunIsFoundAskedFollowedAndStopped) {
    std::string id = detach();
    auto listed = Json::parse(home().vmette({"ps", "--json"}).out);
    ASSERT_EQ(listed.size(), 1u);
    EXPECT_EQ(listed[0]["id"], id);
    EXPECT_EQ(listed[0]["state"], "running");
    EXPECT_EQ(listed[0]["reachable"], true);
    EXPECT_THAT(home().vmette({"ps"}).out, HasSubstr(id));

    auto follower = home().start({"logs", "-f", id.substr(0, 20)});
    ASSERT_TRUE(follower.until_out("on\n"));
    auto waiter = home().start({"wait", "box"});
    auto stopped = home().vmette({"stop", "box"});
    EXPECT_EQ(stopped.code, 0) << stopped;
    EXPECT_EQ(follower.finish(seconds(10)).out, "on\nbye\n");
    EXPECT_EQ(waiter.finish(seconds(10)).code, 143);
    EXPECT_EQ(home().vmette({"wait", id}).code, 143) << "afterwards too";
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "stopped");
    EXPECT_EQ(run["exit_code"], 3);
    EXPECT_EQ(home().vmette({"ps", "--jsonl"}).out, "");
}

TEST_F(LiveTest, SupervisorHasNoTerminalNoStreamsOfItsStarterAndIsSmall) {
    detach();
    pid_t pid = supervisor();
    ASSERT_GT(pid, 0);
    EXPECT_EQ(::getsid(pid), pid);
    for (int fd : {0, 1, 2}) EXPECT_EQ(fs::read_symlink(fmt::format("/proc/{}/fd/{}", pid, fd)), "/dev/null");
    auto rollup = read_file(fmt::format("/proc/{}/smaps_rollup", pid), 1 << 16).value_or("");
    auto at = rollup.find("\nPss:");
    ASSERT_NE(at, rollup.npos);
    EXPECT_LT(std::stoul(rollup.substr(at + 5)), 12288u) << "KiB";
}

TEST_F(LiveTest, DetachedRunThatCannotBeginSaysWhyWithItsCode) {
    auto missing = home().vmette(home().up("", {"no-such-program"}, {"--detach"}));
    EXPECT_EQ(missing.code, 127) << missing;
    EXPECT_EQ(missing.out, "");
    EXPECT_THAT(missing.err, HasSubstr("exec-error: no-such-program"));
    auto no_image = home().vmette({"run", "squashfs+file:///no/such.squashfs", "--detach", "--", "true"});
    EXPECT_NE(no_image.code, 0) << no_image;
    EXPECT_EQ(no_image.out, "");
    for (const char* toml : {"tty = true\n", "stdin = \"inherit\"\n"})
        EXPECT_EQ(home().vmette(home().up(toml, {"true"}, {"--detach"})).code, 2) << toml;
    EXPECT_EQ(home().vmette(home().up("", {"true"}, {"--detach", "--json"})).code, 2);
}

TEST_F(LiveTest, StarterThatIsInterruptedTakesTheRunWithIt) {
    VmetteHome fresh(Cache::own);
    auto starter = fresh.start(fresh.up_shell("", "sleep 60", {"--detach"}));
    ASSERT_TRUE(eventually([&] { return !fresh.runs().empty(); }, seconds(10)));
    starter.signal(SIGINT);
    auto finished = starter.finish(seconds(20));
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.code, 130) << finished;
    EXPECT_EQ(fresh.last_run()["status"], "stopped");
}

TEST_F(LiveTest, SecondStopPullsTheMachine) {
    detach("trap '' TERM; echo on; while :; do sleep 0.1; done", "[limits]\ngrace = \"60s\"\n");
    auto follower = home().start({"logs", "-f", "box"});
    ASSERT_TRUE(follower.until_out("on\n"));
    EXPECT_EQ(home().vmette({"stop", "--no-wait", "box"}).code, 0);
    EXPECT_EQ(Json::parse(home().vmette({"ps", "--json"}).out).size(), 1u);
    auto again = home().vmette({"stop", "box"}, seconds(20));
    EXPECT_EQ(again.code, 0) << again;
    EXPECT_EQ(home().last_run()["reason"], "stopped");
}

TEST_F(LiveTest, CrowdOfWatchersKeepsNobodyFromStoppingItOrFromItsEnd) {
    auto id = detach();
    std::vector<VmetteProcess> crowd;
    for (int i = 0; i < 64; ++i) crowd.push_back(home().start({"logs", "-f", id}));
    ASSERT_TRUE(crowd.front().until_out("on\n"));
    ASSERT_TRUE(eventually([&] { return exec("true").code == 125; }, seconds(20)));
    auto late = home().start({"wait", id});
    auto stopped = home().vmette({"stop", id}, seconds(20));
    EXPECT_EQ(stopped.code, 0) << stopped;
    EXPECT_EQ(late.finish(seconds(20)).code, 143);
    for (auto& watcher : crowd) {
        auto end = watcher.finish(seconds(20));
        EXPECT_EQ(end.code, 0) << end;
        EXPECT_EQ(end.out, "on\nbye\n") << end;
    }
}

TEST_F(LiveTest, ForegroundRunIsReachedTheSameWay) {
    auto process = home().start(home().up_shell("", "echo on; sleep 60"));
    ASSERT_TRUE(process.until_out("on\n"));
    EXPECT_EQ(exec("echo hello").out, "hello\n");
    EXPECT_EQ(home().vmette({"stop", "box"}).code, 0);
    EXPECT_EQ(process.finish(seconds(10)).code, 143);
}

TEST_F(LiveTest, ExecHasStreamsAndAnExitCodeOfItsOwn) {
    detach();
    auto finished = exec("cat; echo err >&2; exit 7", {}, {.stdin_fd = -1});
    EXPECT_EQ(finished.code, 7) << finished;
    EXPECT_EQ(finished.err, "err\n");
    EXPECT_EQ(exec("kill -9 $$").code, 137);
    auto missing = home().vmette({"exec", "box", "--", "no-such-program"});
    EXPECT_EQ(missing.code, 127) << missing;
    EXPECT_THAT(missing.err, HasSubstr("no-such-program"));
    EXPECT_EQ(home().vmette({"exec", "box", "--", "/etc/passwd"}).code, 126);
    EXPECT_EQ(exec("id -u; pwd; echo $A", {"-u", "guest", "-w", "/home", "-e", "A=b"}).out, "1000\n/home\nb\n");
    EXPECT_EQ(exec("x", {"-u", "nobody-at-all"}).code, 125);
    EXPECT_EQ(home().vmette({"exec", "box"}).code, 2);
    EXPECT_EQ(home().vmette({"logs", "box"}).out, "on\n") << "the run's own log has none of it";
}

TEST_F(LiveTest, LargeStreamsPassBothWaysWhole) {
    detach();
    std::string data;
    for (int i = 0; data.size() < (4u << 20); ++i) data += fmt::format("line {}\n", i * 7919);
    auto file = home().write("data", data);
    auto input = open_file(file, O_RDONLY);
    auto finished = exec("cat", {}, {.stdin_fd = input->get()});
    EXPECT_EQ(finished.code, 0);
    EXPECT_TRUE(finished.out == data) << finished.out.size() << " of " << data.size();
}

TEST_F(LiveTest, TwentyAtOnceEachWithItsOwn) {
    detach();
    std::vector<VmetteProcess> all;
    for (int i = 0; i < 20; ++i)
        all.push_back(
            home().start({"exec", "box", "--", "sh", "-c", fmt::format("sleep 0.3; echo {}; exit {}", i, i)}));
    for (int i = 0; i < 20; ++i) {
        auto finished = all[static_cast<std::size_t>(i)].finish(seconds(60));
        EXPECT_EQ(finished.code, i) << finished;
        EXPECT_EQ(finished.out, fmt::format("{}\n", i));
    }
}

TEST_F(LiveTest, ClientThatReadsNothingHoldsUpNobody) {
    detach();
    auto pipe = make_pipe();
    auto stuck = home().start({"exec", "box", "--", "cat", "/dev/zero"}, {.stdout_fd = (*pipe)[1].get()});
    EXPECT_EQ(exec("echo still here").out, "still here\n");
    ASSERT_EQ(::kill(stuck.pid(), SIGSTOP), 0);
    EXPECT_EQ(exec("echo and here").out, "and here\n");
    EXPECT_EQ(home().vmette({"stop", "box"}, seconds(20)).code, 0);
    EXPECT_EQ(home().last_run()["reason"], "stopped");
    ::kill(stuck.pid(), SIGKILL);
}

TEST_F(LiveTest, KilledClientTakesItsCommandWithIt) {
    detach();
    auto client = home().start({"exec", "box", "--", "sh", "-c", "trap '' HUP; echo in; while :; do sleep 0.1; done"});
    ASSERT_TRUE(client.until_out("in\n"));
    ::kill(client.pid(), SIGKILL);
    auto gone = [&] { return exec("ps | grep -c '[t]rap .. HUP'").out == "0\n"; };
    EXPECT_TRUE(eventually(gone, seconds(15))) << exec("ps").out;
}

TEST_F(LiveTest, SignalsGoToTheCommand) {
    detach();
    auto client = home().start(
        {"exec", "box", "--", "sh", "-c", "trap 'echo caught; exit 9' INT; echo in; while :; do sleep 0.1; done"});
    ASSERT_TRUE(client.until_out("in\n"));
    client.signal(SIGINT);
    auto finished = client.finish(seconds(10));
    EXPECT_EQ(finished.code, 9) << finished;
    EXPECT_EQ(finished.out, "in\ncaught\n");
}

TEST_F(LiveTest, WhenTheSupervisorIsKilledItsClientsAndTheHistoryKnow) {
    std::string id = detach();
    auto waiter = home().start({"wait", id});
    auto client = home().start({"exec", id, "--", "sh", "-c", "echo in; sleep 60"});
    ASSERT_TRUE(client.until_out("in\n"));
    auto machine = descendants(supervisor());
    ASSERT_FALSE(machine.empty());
    ::kill(supervisor(), SIGKILL);
    auto finished = client.finish(seconds(10));
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, HasSubstr("has ended"));
    EXPECT_EQ(waiter.finish(seconds(10)).code, 125);
    EXPECT_EQ(home().last_run()["status"], "lost");
    EXPECT_TRUE(eventually([&] { return survivors(machine).empty(); }, seconds(2))) << describe(survivors(machine));
    EXPECT_EQ(exec("true").code, 125) << "gone between ps and exec";
    EXPECT_FALSE(fs::exists(home().layout().live_dir(id)));
}

TEST_F(LiveTest, CommandsEndWhenTheRunEnds) {
    detach("sleep 1; exit 5");
    auto client = home().start({"exec", "box", "--", "sh", "-c", "echo in; sleep 60"});
    ASSERT_TRUE(client.until_out("in\n"));
    EXPECT_EQ(home().vmette({"wait", "box"}).code, 5);
    EXPECT_NE(client.finish(seconds(10)).code, 0);
}

TEST_F(LiveTest, TreesAreCopiedInAndOutWithTheirModes) {
    detach();
    auto tree = home().folder() / "tree";
    fs::create_directories(tree / "sub");
    std::ofstream(tree / "sub/tool") << "#!/bin/sh\necho tool\n";
    fs::permissions(tree / "sub/tool", fs::perms(0750));
    fs::create_symlink("sub/tool", tree / "link");
    std::ofstream(tree / "big") << std::string(1 << 20, 'b');
    auto in = cp(tree, "box:/tmp");
    EXPECT_EQ(in.code, 0) << in;
    EXPECT_EQ(exec("/tmp/tree/link; stat -c %a /tmp/tree/sub/tool; wc -c < /tmp/tree/big").out, "tool\n750\n1048576\n");
    EXPECT_EQ(cp("box:/tmp/tree", home().folder() / "back").code, 0);
    auto differences = run_captured({.argv = {"diff", "-r", tree, home().folder() / "back"}}, seconds(10));
    EXPECT_TRUE(differences && differences->ok()) << differences->out;
    EXPECT_EQ(fs::status(home().folder() / "back/sub/tool").permissions(), fs::perms(0750));

    EXPECT_EQ(cp("box:/etc/os-release", home().folder() / "one").code, 0);
    EXPECT_EQ(read_file(home().folder() / "one", 4096).value_or(""), exec("cat /etc/os-release").out);
    auto missing = cp("box:/no/such", home().folder());
    EXPECT_EQ(missing.code, 2);
    EXPECT_EQ(missing.err, "vmette: in the run: /no/such: No such file or directory\n");
    auto nothing = cp(home().folder() / "missing", "box:/tmp");
    EXPECT_EQ(nothing.code, 2);
    EXPECT_THAT(nothing.err, EndsWith("missing: No such file or directory\n"));
    auto nowhere = cp(tree, "box:/no/where/at/all");
    EXPECT_EQ(nowhere.code, 2);
    EXPECT_EQ(nowhere.err, "vmette: in the run: /no/where/at/all: No such file or directory\n");
    EXPECT_EQ(cp("a", "b").code, 2);
}

TEST_F(LiveTest, TarStreamsPassOnStdinAndStdout) {
    detach();
    auto out = cp("box:/etc", "-");
    EXPECT_EQ(out.code, 0) << out.err;
    auto archive = home().write("etc.tar", out.out);
    auto listed = run_captured({.argv = {"tar", "-tf", archive}}, seconds(10));
    EXPECT_THAT(listed->out, HasSubstr("etc/os-release\n"));
    auto input = open_file(archive, O_RDONLY);
    auto in = cp("-", "box:/tmp", {.stdin_fd = input->get()});
    EXPECT_EQ(in.code, 0) << in;
    EXPECT_EQ(exec("cmp /etc/os-release /tmp/etc/os-release && echo same").out, "same\n");
    auto empty = cp("-", "box:/tmp");
    EXPECT_EQ(empty.code, 2);
    EXPECT_EQ(empty.err, "vmette: error: stdin is empty: no tar archive\n");
}

TEST_F(LiveTest, NothingAGuestSendsClimbsOut) {
    detach();
    // The guest's own end is honest; a stream of a hostile one passes the same way.
    exec("mkdir -p /tmp/t; ln -s /etc/passwd /tmp/t/out; ln -s ../../x /tmp/t/up; echo fine > /tmp/t/fine");
    auto place = home().folder() / "place";
    fs::create_directory(place);
    auto copied = cp("box:/tmp/t", place);
    EXPECT_EQ(copied.code, 1) << copied;
    EXPECT_THAT(copied.err, HasSubstr("refused, a link that leads out of the tree"));
    EXPECT_TRUE(fs::exists(place / "t/fine"));
    EXPECT_FALSE(fs::exists(fs::symlink_status(place / "t/out")));
    EXPECT_FALSE(fs::exists(fs::symlink_status(place / "t/up")));
}

TEST_F(LiveTest, CopyOfMoreThanIsAllowedEndsWithoutFillingTheDisk) {
    detach();
    exec("dd if=/dev/zero of=/tmp/big bs=1M count=8 2>/dev/null");
    auto copied = home().vmette({"cp", "--max", "1M", "box:/tmp/big", home().folder() / "big"});
    EXPECT_EQ(copied.code, 2) << copied;
    EXPECT_FALSE(fs::exists(home().folder() / "big"));
}

TEST_F(LiveTest, CopyToAStreamIsBoundedToo) {
    detach();
    exec("dd if=/dev/zero of=/tmp/big bs=1M count=2 2>/dev/null");
    auto copied = cp("box:/tmp/big", "-");
    EXPECT_EQ(copied.code, 0);
    auto cut = home().vmette({"cp", "--max", "1M", "box:/tmp/big", "-"});
    EXPECT_EQ(cut.code, 2);
    EXPECT_LE(cut.out.size(), std::size_t{1} << 20);
    EXPECT_THAT(cut.err, HasSubstr("more than the bytes that are allowed"));
}

TEST_F(LiveTest, CopyThatIsInterruptedLeavesWhatWasThere) {
    detach("echo on; sleep 1000", "[limits]\nmemory = \"512M\"\n");
    exec("dd if=/dev/zero of=/tmp/big bs=1M count=100 2>/dev/null; echo precious > /tmp/mine");
    auto mine = home().write("mine", "precious");
    auto large = home().folder() / "large";
    std::ofstream(large) << std::string(std::size_t{100} << 20, 'x');
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGKILL}) {
        auto out = home().start({"cp", "box:/tmp/big", mine});
        ::usleep(300'000);
        out.signal(number);
        EXPECT_EQ(out.finish(seconds(10)).code, number == SIGKILL ? -1 : 128 + number);
        EXPECT_EQ(read_file(mine, 64).value_or(""), "precious") << number;
        auto in = home().start({"cp", large, "box:/tmp/mine"});
        ::usleep(300'000);
        in.signal(number);
        EXPECT_EQ(in.finish(seconds(10)).code, number == SIGKILL ? -1 : 128 + number);
        EXPECT_TRUE(eventually([&] { return exec("ls -A /tmp | wc -l").out == "2\n"; }, seconds(10)));
        EXPECT_EQ(exec("cat /tmp/mine").out, "precious\n") << number;
    }
}

TEST_F(LiveTest, ClientsThatLeaveOutputUnreadTakeNoPlaceForEver) {
    detach();
    for (int i = 0; i < 40; ++i) {
        int ends[2];
        ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        Fd reader(ends[0]), writer(ends[1]);
        auto client = home().start({"exec", "box", "--", "yes"}, {.stdout_fd = writer.get()});
        writer.reset();
        pollfd waits{reader.get(), POLLIN, 0};
        ASSERT_EQ(::poll(&waits, 1, 10'000), 1);
        ::usleep(100'000);
        if (i % 2 == 0) client.signal(SIGKILL);
        reader.reset();
        client.finish(seconds(10));
    }
    EXPECT_TRUE(eventually([&] { return exec("echo alive").out == "alive\n"; }, seconds(20)));
    EXPECT_TRUE(eventually([&] { return exec("ps | grep -c '[y]es'").out == "0\n"; }, seconds(20)));
}

TEST_F(LiveTest, RunOfTheHistoryIsRerunDetachedToo) {
    detach();
    home().vmette({"stop", "--now", "box"});
    auto again = home().vmette({"rerun", "--detach", "box"}, seconds(20));
    EXPECT_EQ(again.code, 0) << again;
    EXPECT_EQ(exec("echo hello").out, "hello\n");
}

TEST_F(LiveTest, LogsOfARunThatIsOnAndItsSince) {
    detach("echo first; sleep 2; echo err >&2; sleep 0.5; echo second; sleep 60");
    auto follower = home().start({"logs", "-f", "box"});
    ASSERT_TRUE(follower.until_out("second\n"));
    EXPECT_EQ(home().vmette({"logs", "box"}).out, "first\nsecond\n");
    EXPECT_EQ(home().vmette({"logs", "box", "--since", "1s"}).out, "second\n");
    EXPECT_EQ(home().vmette({"logs", "box", "--stderr"}).out, "err\n");
    EXPECT_EQ(home().vmette({"logs", "box", "--stderr", "--console"}).code, 2);
    EXPECT_EQ(home().vmette({"logs", "box", "--since", "whenever"}).code, 2);
    EXPECT_EQ(home().vmette({"stop", "--now", "box"}).code, 0);
    EXPECT_EQ(follower.finish(seconds(10)).code, 0);
}

TEST_F(LiveTest, VerbsOnRunsThatAreNotThereSaySo) {
    for (const char* verb : {"stop", "wait", "logs"}) {
        auto finished = home().vmette({verb, "nobody"});
        EXPECT_NE(finished.code, 0) << finished;
        EXPECT_THAT(finished.err, HasSubstr("nobody"));
    }
    detach("exit 0");
    home().vmette({"wait", "box"});
    auto ended = exec("true");
    EXPECT_EQ(ended.code, 125) << ended;
    EXPECT_THAT(ended.err, HasSubstr("has ended: exited"));
    auto stopped = home().vmette({"stop", "box"});
    EXPECT_EQ(stopped.code, 0) << "what was asked for is so";
    EXPECT_THAT(stopped.err, HasSubstr("has ended: exited"));
}

TEST_F(LiveTest, RunThatCannotBeStoppedLeavesNoOtherRunning) {
    auto id = detach();
    auto stopped = home().vmette({"stop", "nobody", id});
    EXPECT_EQ(stopped.code, 1) << stopped;
    EXPECT_THAT(stopped.err, HasSubstr("nobody"));
    EXPECT_EQ(home().last_run()["reason"], "stopped");
}

}  // namespace
}  // namespace vmette::testing
