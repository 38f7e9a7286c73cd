#include <csignal>

#include "e2e/guest_fixture.h"
#include "guest/protocol.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

/// Guests of hostile_init.cc.
class HostileGuestTest : public GuestTest {
protected:
    std::vector<std::string> words(const std::string& deed, const std::string& toml = "",
                                   const std::vector<std::string>& flags = {}) {
        auto image = build_dir() / "tests/e2e/hostile.cpio";
        return home().up(
            toml + fmt::format("[vm]\ninitramfs = \"{}\"\ncmdline = \"hostile={}\"\n", image.string(), deed), {"true"},
            flags);
    }
    Finished meet(const std::string& deed, const std::string& toml = "") {
        auto process = home().start(words(deed, toml));
        auto finished = process.finish(seconds(40));
        EXPECT_LT(finished.peak_rss_kib, 64u * 1024);
        EXPECT_THAT(home().leftovers(), IsEmpty());
        return finished;
    }
    /// Ends as vm-error with this message, at once.
    void expect_refused(const std::string& deed, const std::string& message, bool began) {
        auto finished = meet(deed);
        EXPECT_EQ(finished.code, 125) << finished;
        EXPECT_LT(finished.took, seconds(20)) << finished;
        EXPECT_THAT(finished.err, HasSubstr(message)) << finished;
        Json run = home().last_run();
        EXPECT_EQ(run["reason"], "vm-error");
        EXPECT_EQ(run["started_before_failure"], began);
        EXPECT_THAT(run["error"].get<std::string>(),
                    EndsWith(began ? "(after the command began)" : "(before the command began)"));
    }
};

TEST_F(HostileGuestTest, GarbageOnTheChannelEndsTheRun) { expect_refused("garbage", "the guest sent ", false); }

TEST_F(HostileGuestTest, OversizedFrameEndsTheRun) {
    expect_refused("oversized", "the guest sent 'hello' with 1048577 bytes, where 1024 are allowed", false);
}

TEST_F(HostileGuestTest, HelloThatIsTooShortEndsTheRun) {
    expect_refused("short-hello", "the guest sent a malformed 'hello' of 8 bytes", false);
}

TEST_F(HostileGuestTest, OtherVersionIsSaidLoudly) {
    expect_refused("version",
                   fmt::format("the guest speaks version {} of the protocol and this vmette version {}: the initramfs "
                               "belongs to another vmette",
                               wire::kVersion + 1, wire::kVersion),
                   false);
}

TEST_F(HostileGuestTest, EndOfACommandThatNeverBeganIsRefused) {
    expect_refused("early-exit", "the guest sent 'exited' before hello", false);
}

TEST_F(HostileGuestTest, DataOfAStreamThatIsNotThereEndsTheRun) {
    expect_refused("stream", "the guest sent 'out' on stream 77", true);
}

TEST_F(HostileGuestTest, UnknownFrameEndsTheRun) {
    expect_refused("type", "the guest sent a frame of unknown type 200", true);
}

TEST_F(HostileGuestTest, EndlessCreditEndsTheRun) {
    expect_refused("credit", "the guest granted 4294967295 bytes of credit for stdin, having taken 0", true);
}

TEST_F(HostileGuestTest, CallsBeyondTheirNumberEndTheRun) {
    expect_refused("calls", "the guest sent 'call' on stream 32800 beyond the number of calls that it may make", true);
}

TEST_F(HostileGuestTest, CallThatSendsWithoutCreditEndsTheRun) {
    expect_refused("call-flood", "the guest sent 65536 bytes on call 32768 with credit for 0", true);
}

TEST_F(HostileGuestTest, GuestThatCallsWithoutEndEndsTheRun) {
    expect_refused("call-churn", "the guest sent 'call' on stream 32768 a second time", true);
}

TEST_F(HostileGuestTest, FloodOfBeatsEndsTheRun) {
    expect_refused("beats", "the guest floods the channel with beats", true);
}

TEST_F(HostileGuestTest, DataBeyondTheCreditEndsTheRun) {
    // Nobody reads, so that no credit is given.
    auto pipe = make_pipe();
    ASSERT_TRUE(pipe);
    auto process = home().start(words("flood", "", {"-vv"}), {.stdout_fd = (*pipe)[1].get()});
    EXPECT_TRUE(process.until_err("running + death -> over")) << process.err();
    (*pipe)[0].reset();
    (*pipe)[1].reset();
    auto finished = process.finish(seconds(5));
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, HasSubstr("the guest sent 65536 bytes of 'out' with credit for 0"));
    EXPECT_LT(finished.peak_rss_kib, 64u * 1024);
}

TEST_F(HostileGuestTest, TruncatedFrameRunsIntoTheBootLimit) {
    auto finished = meet("truncated", "[limits]\nboot_timeout = \"3s\"\n");
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_EQ(home().last_run()["error"],
              "the guest was not ready within 3s (limits.boot_timeout) (before the command began)");
}

TEST_F(HostileGuestTest, GuestThatHangsAtBootEndsAtTheBootLimit) {
    auto finished = meet("hang", "[limits]\nboot_timeout = \"2s\"\n");
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_GE(finished.took, seconds(2));
    EXPECT_LT(finished.took, seconds(8));
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "vm-error");
    EXPECT_EQ(run["started_before_failure"], false);
    EXPECT_EQ(run["error"], "the guest was not ready within 2s (limits.boot_timeout) (before the command began)");
    EXPECT_EQ(
        finished.err,
        fmt::format("vmette: vm-error: the guest was not ready within 2s (limits.boot_timeout) (before the command "
                    "began; run {})\n",
                    run["id"].get<std::string>()));
}

TEST_F(HostileGuestTest, TextOfTheGuestIsHarmlessAndShort) {
    auto finished = meet("text");
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_LT(finished.err.size(), 2000u);
    EXPECT_THAT(finished.err, Not(HasSubstr("\x1b")));
    EXPECT_THAT(finished.err, Not(HasSubstr("\nvmette: all is well")));
    EXPECT_LT(home().last_run()["error"].get<std::string>().size(), 2000u);
}

TEST_F(HostileGuestTest, FiguresBeyondTheMachineAreCutToIt) {
    auto finished = meet("usage");
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(finished.err, Not(HasSubstr("\x1b")));
    EXPECT_LT(finished.err.size(), 64u * 1024);
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "exited");
    EXPECT_EQ(run["usage"]["peak_memory_bytes"], run["memory_mib"].get<std::uint64_t>() << 20);
}

TEST_F(HostileGuestTest, SilenceIsReportedAndThenEnded) {
    auto process = home().start(words("silent"));
    ASSERT_TRUE(process.until_err("the guest has not answered for a second")) << process.err();
    auto finished = process.finish(seconds(20));
    EXPECT_EQ(finished.code, 125) << finished;
    Json run = home().last_run();
    EXPECT_EQ(run["reason"], "vm-error");
    EXPECT_EQ(run["started_before_failure"], true);
    EXPECT_GE(finished.took, seconds(10));
    EXPECT_LT(finished.took, seconds(20));
}

TEST_F(HostileGuestTest, GuestThatNeverFinishesIsPulledBySecondInterrupt) {
    auto process = home().start(words("never-finished", "", {"-vv"}));
    ASSERT_TRUE(process.until_err("phase collect")) << process.err();
    process.signal(SIGINT);
    ASSERT_TRUE(process.until_err("collecting + stop -> collecting")) << process.err();
    process.signal(SIGINT);
    auto finished = process.finish(seconds(10));
    EXPECT_EQ(finished.code, 5) << finished;
    EXPECT_EQ(home().last_run()["reason"], "exited");
}

}  // namespace
}  // namespace vmette::testing
