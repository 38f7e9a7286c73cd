#include <fcntl.h>

#include <fstream>

#include "base/fd.h"
#include "e2e/guest_fixture.h"
#include "support/pseudo_terminal.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

/// The examples, in a tree like the project's: what they write stays in the home.
std::filesystem::path lay_out_examples(const std::filesystem::path& folder) {
    auto rootfs = folder / "build/rootfs";
    std::filesystem::create_directories(rootfs / "out");
    for (const char* name : {"busybox.squashfs", "toolchain.tar"}) {
        // Not a hard link: one more name changes the file's time, and another test may be reading it.
        std::filesystem::create_symlink(build_dir() / "rootfs" / name, rootfs / name);
    }
    std::filesystem::copy_file(build_dir() / "rootfs/data.img", rootfs / "data.img");
    std::filesystem::copy(source_dir() / "examples", folder / "examples", std::filesystem::copy_options::recursive);
    return folder / "examples";
}

TEST(ExampleManifestsTest, EachIsValidAndCanBePlanned) {
    VmetteHome home(Cache::own);
    auto examples = lay_out_examples(home.folder());
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(examples)) {
        if (entry.path().extension() != ".toml") continue;
        ++count;
        auto validated = home.vmette({"validate", entry.path()});
        EXPECT_EQ(validated.code, 0) << entry.path() << validated;
        if (!why_no_guest().empty()) continue;
        auto planned = home.vmette({"plan", entry.path()});
        EXPECT_EQ(planned.code, 0) << entry.path() << planned;
        EXPECT_THAT(planned.out + planned.err, HasSubstr("qemu-system-x86_64"));
        EXPECT_THAT(planned.out + planned.err, Not(HasSubstr("not available yet")));
    }
    EXPECT_GE(count, 8);
    EXPECT_TRUE(home.runs().empty()) << "planning starts nothing";
}

TEST(ExampleManifestsTest, ABatchIsPlannedAsAManifestWithoutTemplates) {
    VmetteHome home(Cache::own);
    auto examples = lay_out_examples(home.folder());
    if (!why_no_guest().empty()) GTEST_SKIP() << why_no_guest();
    for (const auto& [name, jobs] : {std::pair{"batch.toml", "24"}, {"agents.toml", "4"}}) {
        auto planned = home.vmette({"plan", examples / name});
        ASSERT_EQ(planned.code, 0) << planned;
        EXPECT_THAT(planned.out,
                    AllOf(HasSubstr(std::string("\n# ") + jobs + " jobs, 4 at once"), Not(HasSubstr("{{"))));
        auto again = home.vmette({"plan", home.write("planned.toml", planned.out)});
        EXPECT_EQ(again.out, planned.out) << again;
    }
    auto one = home.vmette({"plan", examples / "agents.toml", "--job", "parser-101"});
    EXPECT_THAT(one.out, AllOf(HasSubstr("name = \"parser-101\""), HasSubstr("examples/agents/parser\"")));
    auto none = home.vmette({"plan", examples / "agents.toml", "--job", "parser-9"});
    EXPECT_EQ(none.code, 2) << none;
}

class ExamplesTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (!IsSkipped()) examples_ = lay_out_examples(home().folder());
    }
    Finished up(const std::string& name, const std::vector<std::string>& more = {}, seconds limit = seconds(60)) {
        std::vector<std::string> words{"up", examples_ / name};
        words.insert(words.end(), more.begin(), more.end());
        return home().vmette(words, limit);
    }
    std::filesystem::path examples_;
};

TEST_F(ExamplesTest, HelloGreets) {
    auto finished = up("hello.toml");
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(finished.out, StartsWith("Hello from Linux "));
    EXPECT_THAT(finished.out, HasSubstr("these network interfaces: lo"));
    EXPECT_EQ(finished.err, "");
}

TEST_F(ExamplesTest, BuildCompilesAndTheBinaryComesOut) {
    auto finished = up("build.toml", {}, seconds(240));
    ASSERT_EQ(finished.code, 0) << finished;
    auto binary = home().folder() / "build/rootfs/out/tally";
    auto words = home().write("words", "one two two\n");
    auto input = open_file(words, O_RDONLY);
    auto tally = run_captured({.argv = {binary}, .descriptors = {{input->get(), 0}}}, seconds(10));
    ASSERT_TRUE(tally && tally->ok()) << (tally ? tally->err : tally.error().text());
    EXPECT_THAT(tally->out, HasSubstr("two"));
}

TEST_F(ExamplesTest, LimitsHold) {
    auto within = up("limits.toml");
    EXPECT_EQ(within.code, 0) << within;
    EXPECT_THAT(within.out, HasSubstr("scratch: "));
    auto late = up("limits.toml", {"--set", "limits.timeout=2s", "--", "sleep", "60"});
    EXPECT_EQ(late.code, 124) << late;
    EXPECT_EQ(home().last_run()["reason"], "timeout");
    auto hungry = up("limits.toml", {"--set", "limits.memory=96M", "--", "sh", "-c", "tail /dev/zero"});
    EXPECT_EQ(hungry.code, 137) << hungry;
    EXPECT_EQ(home().last_run()["reason"], "oom");
}

TEST_F(ExamplesTest, DisksCountTheirRuns) {
    // The disk is the build tree's, and may have seen runs before.
    int before = 0, after = 0;
    EXPECT_EQ(std::sscanf(up("disks.toml").out.c_str(), "run number %d on this disk", &before), 1);
    EXPECT_EQ(std::sscanf(up("disks.toml").out.c_str(), "run number %d on this disk", &after), 1);
    EXPECT_EQ(after, before + 1);
}

TEST_F(ExamplesTest, NetHasAnAddressAndNoPrivateOneAnswers) {
    auto finished = up("net.toml");
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(finished.out, AllOf(HasSubstr("inet 10.0.2.15"), HasSubstr("private addresses are refused")));
}

TEST_F(ExamplesTest, BatchRunsItsJobsInTheirOrder) {
    auto finished = home().vmette({"batch", "run", examples_ / "batch.toml"}, seconds(150));
    EXPECT_EQ(finished.code, 0) << finished;
    auto runs = home().runs();
    ASSERT_EQ(runs.size(), 24u);
    EXPECT_EQ(runs.front()["name"], "report") << "the newest";
    EXPECT_EQ(runs.back()["name"], "prepare");
}

TEST_F(ExamplesTest, AgentsLeaveTheirReportsAndNotes) {
    auto results = home().folder() / "agents-out";
    auto finished = home().vmette(
        {"batch", "run", examples_ / "agents.toml", "--set", "batch.results=" + results.string()}, seconds(150));
    EXPECT_EQ(finished.code, 0) << finished;
    for (const char* job : {"parser-101", "parser-102", "server-7", "manual-1"}) {
        auto artifacts = results / job / "artifacts";
        EXPECT_THAT(read_file(artifacts / "out/report.md", 1 << 20).value_or("none"),
                    StartsWith(fmt::format("# {}\n", job)));
        EXPECT_THAT(read_file(artifacts / "src/NOTES", 1 << 20).value_or("none"),
                    EndsWith(fmt::format("done by {}\n", job)));
    }
    // What an agent wrote into its share has stayed in its machine.
    EXPECT_FALSE(std::filesystem::exists(examples_ / "agents/parser/NOTES"));
}

TEST_F(ExamplesTest, ServiceIsUsedFromOtherTerminalsAndStopped) {
    auto detached = up("service.toml", {"--detach"});
    ASSERT_EQ(detached.code, 0) << detached;
    std::string id = detached.out.substr(0, detached.out.find('\n'));
    EXPECT_THAT(home().vmette({"exec", id, "--", "uname", "-a"}).out, StartsWith("Linux service "));
    EXPECT_THAT(home().vmette({"cp", id + ":/etc/os-release", "-"}).out, HasSubstr("NAME=\"vmette examples\""));
    auto follower = home().start({"logs", "-f", id});
    EXPECT_TRUE(follower.until_out("tick 1\n"));
    EXPECT_EQ(home().vmette({"stop", id}).code, 0);
    EXPECT_EQ(home().vmette({"wait", id}).code, 143);
    EXPECT_THAT(follower.finish(seconds(10)).out, HasSubstr("served "));
}

TEST_F(ExamplesTest, InteractiveIsAShell) {
    PseudoTerminal terminal({vmette_binary(), "up", examples_ / "interactive.toml"}, home().environment(), 80, 24);
    ASSERT_TRUE(terminal.until("sandbox:/work# ")) << terminal.shown();
    terminal.type("ls; echo spoilt > hello.toml; head -c 6 hello.toml; exit 3\r");
    EXPECT_EQ(terminal.finish(), 3) << terminal.shown();
    EXPECT_THAT(terminal.shown(), AllOf(HasSubstr("build.toml"), HasSubstr("spoilt")));
    EXPECT_GT(std::filesystem::file_size(examples_ / "hello.toml"), 100u) << "the host's file is as it was";
}

}  // namespace
}  // namespace vmette::testing
