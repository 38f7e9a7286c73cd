#include "e2e/guest_fixture.h"
#include "support/pseudo_terminal.h"

namespace vmette::testing {
namespace {

class TerminalTest : public GuestTest {
protected:
    std::unique_ptr<PseudoTerminal> open(const std::vector<std::string>& command) {
        auto words = home().up("tty = true\n[env]\nPS1 = \"> \"\n", command);
        words.insert(words.begin(), vmette_binary());
        return std::make_unique<PseudoTerminal>(words, home().environment(), 97, 31);
    }
};

TEST_F(TerminalTest, GuestSeesTheSizeOfTheWindowAndItsChanges) {
    auto terminal = open({"/bin/sh"});
    ASSERT_TRUE(terminal->until("> ")) << terminal->shown();
    terminal->type("tty; stty size\r");
    EXPECT_TRUE(terminal->until("31 97")) << terminal->shown();
    EXPECT_THAT(terminal->shown(), HasSubstr("/dev/pts/"));

    terminal->resize(120, 40);
    bool seen = eventually(
        [&] {
            terminal->type("stty size\r");
            return terminal->until("40 120", Duration(200));
        },
        std::chrono::seconds(10));
    EXPECT_TRUE(seen) << terminal->shown();
    terminal->type("exit 7\r");
    EXPECT_EQ(terminal->finish(), 7) << terminal->shown();
}

TEST_F(TerminalTest, CtrlCGoesIntoTheGuest) {
    auto terminal = open({"/bin/sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done"});
    ASSERT_TRUE(terminal->until("ready")) << terminal->shown();
    terminal->type("\x03");
    EXPECT_TRUE(terminal->until("caught")) << terminal->shown();
    EXPECT_EQ(terminal->finish(), 9) << terminal->shown();
    EXPECT_EQ(home().last_run()["reason"], "exited");
}

TEST_F(TerminalTest, TerminalIsRawWhileTheCommandRunsAndAsItWasAfter) {
    auto terminal = open({"/bin/sh", "-c", "echo ready; read line; echo got $line"});
    termios before = terminal->mode();
    ASSERT_TRUE(terminal->until("ready")) << terminal->shown();
    termios during = terminal->mode();
    EXPECT_EQ(during.c_lflag & static_cast<tcflag_t>(ECHO | ICANON | ISIG), 0u);
    terminal->type("word\r");
    EXPECT_TRUE(terminal->until("got word")) << terminal->shown();
    EXPECT_EQ(terminal->finish(), 0);
    termios after = terminal->mode();
    EXPECT_EQ(after.c_lflag, before.c_lflag);
    EXPECT_EQ(after.c_iflag, before.c_iflag);
    EXPECT_EQ(after.c_oflag, before.c_oflag);
}

TEST_F(TerminalTest, TerminalIsRestoredWhenTheMachineDies) {
    auto terminal = open({"/bin/sh", "-c", "echo ready; read line; reboot -f"});
    termios before = terminal->mode();
    ASSERT_TRUE(terminal->until("ready")) << terminal->shown();
    terminal->type("\r");
    EXPECT_EQ(terminal->finish(), 125) << terminal->shown();
    EXPECT_EQ(terminal->mode().c_lflag, before.c_lflag);
}

TEST_F(TerminalTest, OutAndErrAreOneTerminal) {
    auto terminal = open({"/bin/sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo all; echo err >&2"});
    EXPECT_TRUE(terminal->until("all\r\nerr\r\n")) << terminal->shown();
    EXPECT_EQ(terminal->finish(), 0);
    Json run = home().last_run();
    EXPECT_EQ(run["usage"]["stdout_bytes"], 10);
    EXPECT_EQ(run["usage"]["stderr_bytes"], 0);
}

}  // namespace
}  // namespace vmette::testing
