#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

using LimitsTest = GuestTest;
using std::chrono::seconds;

TEST_F(LimitsTest, TimeoutEndsTheCommandWith124) {
    auto finished = home().vmette(home().up("", {"sleep", "60"}, {"--set", "limits.timeout=2s"}));
    EXPECT_EQ(finished.code, 124) << finished;
    EXPECT_GE(finished.took, seconds(2));
    EXPECT_LT(finished.took, seconds(15));
    Json run = home().last_run();
    EXPECT_EQ(run["status"], "failed");
    EXPECT_EQ(run["reason"], "timeout");
    EXPECT_EQ(run["error"], "the command ran longer than 2s");
    EXPECT_EQ(run["started_before_failure"], true);
    EXPECT_EQ(finished.err,
              fmt::format("vmette: timeout: the command ran longer than 2s (run {})\n", run["id"].get<std::string>()));
}

TEST_F(LimitsTest, TimeoutSendsTermFirstAndKeepsWhatTheCommandMakesOfIt) {
    auto finished = shell("trap 'echo bye; exit 3' TERM; while :; do sleep 0.1; done",
                          "[limits]\ntimeout = \"1s\"\ngrace = \"20s\"\n");
    EXPECT_EQ(finished.code, 124) << finished;
    EXPECT_EQ(finished.out, "bye\n");
    EXPECT_LT(finished.took, seconds(15));
    EXPECT_EQ(home().last_run()["exit_code"], 3);
}

TEST_F(LimitsTest, CommandThatIgnoresTermIsPulledAfterTheGrace) {
    auto finished =
        shell("trap '' TERM; echo deaf; while :; do sleep 60; done", "[limits]\ntimeout = \"1s\"\ngrace = \"1s\"\n");
    EXPECT_EQ(finished.code, 124) << finished;
    EXPECT_EQ(finished.out, "deaf\n");
    EXPECT_GE(finished.took, seconds(2));
    EXPECT_LT(finished.took, seconds(15));
    EXPECT_EQ(home().last_run()["exit_code"], nullptr);
}

TEST_F(LimitsTest, CommandThatIsSilentTooLongIsIdle) {
    auto finished = shell("echo once; sleep 60", "[limits]\nidle_timeout = \"1s\"\n");
    EXPECT_EQ(finished.code, 124) << finished;
    EXPECT_EQ(finished.out, "once\n");
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "idle");
    EXPECT_EQ(run["error"], "the command wrote nothing for 1s");
}

TEST_F(LimitsTest, CommandThatKeepsWritingIsNotIdle) {
    auto finished =
        shell("for i in 1 2 3 4 5 6 7 8; do echo $i >&2; sleep 0.5; done", "[limits]\nidle_timeout = \"3s\"\n");
    EXPECT_EQ(finished.code, 0) << finished;
}

TEST_F(LimitsTest, GuestThatRunsOutOfMemoryIs137) {
    auto finished = shell("tail /dev/zero");
    EXPECT_EQ(finished.code, 137) << finished;
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "oom");
    EXPECT_EQ(run["error"], "the guest's memory ran out; raise limits.memory");
    EXPECT_GT(run["usage"]["peak_memory_bytes"].get<std::uint64_t>(), 50u << 20);
}

TEST_F(LimitsTest, OneCommandThatDiesOfMemoryBelowAShellIsSeen) {
    auto finished = shell("tail /dev/zero; exit 4");
    EXPECT_EQ(finished.code, 137) << finished;
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "oom");
}

TEST_F(LimitsTest, ForkBombIsHeldByTheProcessLimit) {
    auto finished = shell("bomb() { bomb | bomb & }; bomb 2>/dev/null; echo lit; exec sleep 60",
                          "[limits]\npids = 64\ntimeout = \"3s\"\ngrace = \"1s\"\n");
    EXPECT_EQ(finished.code, 124) << finished;
    // A guest that were lost in it would have been pulled, without its end.
    EXPECT_THAT(finished.err, Not(HasSubstr("stopped answering")));
    EXPECT_EQ(home().last_run()["reason"], "timeout");
}

TEST_F(LimitsTest, ProcessesAreCountedExactly) {
    auto finished = shell(
        "cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/pids.max 2>/dev/null || "
        "cat /sys/fs/cgroup/pids.max",
        "[limits]\npids = 77\n");
    EXPECT_THAT(finished.out, HasSubstr("77")) << finished;
}

TEST_F(LimitsTest, FullScratchIsTheCommandsOwnTrouble) {
    auto finished = shell("dd if=/dev/zero of=/big bs=1M", "scratch = \"64M\"\n");
    EXPECT_EQ(finished.code, 1) << finished;
    EXPECT_THAT(finished.err, HasSubstr("No space left on device"));
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "exited");
    EXPECT_EQ(run["scratch_mib"], 64);
    EXPECT_GT(run["usage"]["scratch_bytes"].get<std::uint64_t>(), 32u << 20);
    EXPECT_LE(run["usage"]["scratch_bytes"].get<std::uint64_t>(), 64u << 20);
}

TEST_F(LimitsTest, ScratchHasExactlyTheSizeOfTheManifest) {
    auto finished =
        shell("for d in /sys/block/vd*; do echo $(cat $d/serial) $(cat $d/size); done", "scratch = \"100M\"\n");
    EXPECT_THAT(finished.out, HasSubstr("scratch 204800\n")) << finished;
}

TEST_F(LimitsTest, VcpusAndMemoryAreTheManifests) {
    auto finished = shell("grep -c ^processor /proc/cpuinfo; awk '/MemTotal/ {print $2}' /proc/meminfo",
                          "[limits]\nvcpus = 2\nmemory = \"200M\"\n");
    EXPECT_THAT(finished.out, StartsWith("2\n")) << finished;
    int kib = std::atoi(finished.out.substr(2).c_str());
    EXPECT_GT(kib, 160 * 1024);
    EXPECT_LT(kib, 200 * 1024);
}

}  // namespace
}  // namespace vmette::testing
