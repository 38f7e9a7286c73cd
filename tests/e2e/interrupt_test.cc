#include <csignal>

#include "e2e/guest_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

class InterruptTest : public GuestTest {
protected:
    /// A command that says "on" and lets itself be ended.
    VmetteProcess patient(const std::string& toml, const std::string& trap = "trap 'echo bye; exit 3' TERM") {
        auto process = home().start(home().up_shell(toml, trap + "; echo on; while :; do sleep 0.1; done", {"-vv"}));
        EXPECT_TRUE(process.until_out("on\n")) << process.err();
        return process;
    }
    void expect_stopped(const char* error) {
        Json run = home().last_run();
        EXPECT_EQ(run["status"], "stopped");
        EXPECT_EQ(run["reason"], "stopped");
        EXPECT_EQ(run["error"], error);
    }
};

TEST_F(InterruptTest, OneCtrlCIsTermInTheGuestAnd130) {
    auto process = patient("[limits]\ngrace = \"20s\"\n");
    process.signal(SIGINT);
    auto finished = process.finish(seconds(15));
    EXPECT_EQ(finished.code, 130) << finished;
    EXPECT_EQ(finished.out, "on\nbye\n");
    expect_stopped("interrupted while the command ran");
    EXPECT_EQ(home().last_run()["exit_code"], 3);
}

TEST_F(InterruptTest, CommandThatIgnoresTheInterruptHasTheGrace) {
    auto process = patient("[limits]\ngrace = \"1s\"\n", "trap '' TERM");
    process.signal(SIGINT);
    auto finished = process.finish(seconds(15));
    EXPECT_EQ(finished.code, 130) << finished;
    expect_stopped("interrupted while the command ran");
}

TEST_F(InterruptTest, SecondCtrlCPullsTheMachineAtOnce) {
    auto process = patient("[limits]\ngrace = \"60s\"\n", "trap '' TERM");
    process.signal(SIGINT);
    ASSERT_TRUE(process.until_err("running + stop -> stopping")) << process.err();
    auto pulled = std::chrono::steady_clock::now();
    process.signal(SIGINT);
    auto finished = process.finish(seconds(15));
    EXPECT_EQ(finished.code, 130) << finished;
    EXPECT_LT(std::chrono::steady_clock::now() - pulled, seconds(3));
    expect_stopped("interrupted while the command ran");
}

TEST_F(InterruptTest, TermAndHangupEndWith143) {
    for (int number : {SIGTERM, SIGHUP}) {
        auto process = patient("[limits]\ngrace = \"20s\"\n");
        process.signal(number);
        auto finished = process.finish(seconds(15));
        EXPECT_EQ(finished.code, 143) << finished;
        EXPECT_EQ(finished.out, "on\nbye\n");
        expect_stopped("interrupted while the command ran");
    }
}

TEST_F(InterruptTest, WhileTheReaderDoesNotReadItEndsAtOnce) {
    auto pipe = make_pipe();
    ASSERT_TRUE(pipe);
    auto process =
        home().start(home().up_shell("", "head -c 200000 /dev/zero; exit 4", {"-v"}), {.stdout_fd = (*pipe)[1].get()});
    ASSERT_TRUE(process.until_err("phase teardown")) << process.err();
    process.signal(SIGINT);
    auto finished = process.finish(seconds(5));
    EXPECT_EQ(finished.code, 4) << finished;
    EXPECT_EQ(home().last_run()["error"], "the reader of the output did not take all of it");
}

TEST_F(InterruptTest, DuringBootItEndsAtOnceAndNothingRan) {
    auto hang = build_dir() / "tests/e2e/hostile.cpio";
    auto process = home().start(home().up(
        fmt::format("[vm]\ninitramfs = \"{}\"\ncmdline = \"hostile=hang\"\n", hang.string()), {"true"}, {"-v"}));
    ASSERT_TRUE(process.until_err("phase boot")) << process.err();
    process.signal(SIGINT);
    auto finished = process.finish(seconds(5));
    EXPECT_EQ(finished.code, 130) << finished;
    expect_stopped("interrupted before the command began");
    EXPECT_EQ(home().last_run()["started_at"], nullptr);
}

TEST_F(InterruptTest, DuringResolveItEndsAndLeavesNothingHalfMade) {
    VmetteHome fresh(Cache::own);
    auto box = fresh.write(
        "big.toml", fmt::format("rootfs = \"tar+file://{}\"\n", (build_dir() / "rootfs/toolchain.tar").string()));
    auto process = fresh.start({"up", box, "-v", "--", "true"});
    ASSERT_TRUE(process.until_err("phase resolve")) << process.err();
    process.signal(SIGINT);
    auto finished = process.finish(seconds(10));
    EXPECT_EQ(finished.code, 130) << finished;
    Json run = fresh.last_run();
    EXPECT_EQ(run["reason"], "stopped");
    EXPECT_EQ(run["error"], "interrupted before the command began");
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(fresh.layout().cache, error))
        EXPECT_TRUE(entry.is_directory() || entry.file_size() == 0) << entry.path();
}

}  // namespace
}  // namespace vmette::testing
