#include "e2e/guest_fixture.h"
#include "support/pseudo_terminal.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

/// Shells in a detached run, each on a terminal as a person has one.
class ShellTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (IsSkipped()) return;
        auto detached = home().vmette(home().up_shell("", "sleep 300", {"--detach"}));
        ASSERT_EQ(detached.code, 0) << detached;
    }
    void TearDown() override {
        if (home_) home().vmette({"stop", "--now", "box"});
    }
    std::unique_ptr<PseudoTerminal> open(std::vector<std::string> words = {"shell", "box", "-e", "PS1=> "}) {
        words.insert(words.begin(), vmette_binary());
        return std::make_unique<PseudoTerminal>(words, home().environment(), 97, 31);
    }
    /// `keys` until the screen shows `text`: what a person does when nothing happens.
    static bool type_until(PseudoTerminal& terminal, const std::string& keys, const std::string& text) {
        return eventually(
            [&] {
                terminal.type(keys);
                return terminal.until(text, Duration(300));
            },
            seconds(15));
    }
};

TEST_F(ShellTest, WindowSizeFollows) {
    auto terminal = open();
    ASSERT_TRUE(terminal->until("> ")) << terminal->shown();
    EXPECT_TRUE(type_until(*terminal, "stty size\r", "31 97")) << terminal->shown();
    for (unsigned short columns = 60; columns < 120; ++columns) terminal->resize(columns, 40);
    EXPECT_TRUE(type_until(*terminal, "stty size\r", "40 119")) << terminal->shown();
    terminal->type("exit 7\r");
    EXPECT_EQ(terminal->finish(), 7) << terminal->shown();
}

TEST_F(ShellTest, CtrlCEndsTheForegroundJobAndNotTheShell) {
    auto terminal = open();
    ASSERT_TRUE(terminal->until("> ")) << terminal->shown();
    terminal->type("sleep 1000; echo code $?\r");
    ASSERT_TRUE(terminal->until("sleep 1000")) << terminal->shown();
    EXPECT_TRUE(type_until(*terminal, "\x03", "^C")) << terminal->shown();
    EXPECT_TRUE(type_until(*terminal, "echo alive $((6*7))\r", "alive 42")) << terminal->shown();
    terminal->type("exit\r");
    EXPECT_GE(terminal->finish(), 0);
}

TEST_F(ShellTest, CtrlZStopsTheJobAndFgBringsItBack) {
    auto terminal = open();
    ASSERT_TRUE(terminal->until("> ")) << terminal->shown();
    terminal->type("cat\r");
    ASSERT_TRUE(type_until(*terminal, "echoed\r", "echoed\r\nechoed")) << terminal->shown();
    terminal->forget();
    EXPECT_TRUE(type_until(*terminal, "\x1a", "Stopped")) << terminal->shown();
    EXPECT_TRUE(type_until(*terminal, "jobs\r", "cat")) << terminal->shown();
    terminal->type("fg\r");
    terminal->forget();
    EXPECT_TRUE(type_until(*terminal, "again\r", "again\r\nagain")) << terminal->shown();
    terminal->type("\x04");
    EXPECT_TRUE(type_until(*terminal, "echo back $((6*7))\r", "back 42")) << terminal->shown();
    terminal->type("exit 0\r");
    EXPECT_EQ(terminal->finish(), 0) << terminal->shown();
}

TEST_F(ShellTest, TerminalIsAsItWasWhateverEndsTheShell) {
    {
        auto terminal = open();
        auto before = terminal->mode();
        ASSERT_TRUE(terminal->until("> ")) << terminal->shown();
        EXPECT_EQ(terminal->mode().c_lflag & static_cast<tcflag_t>(ECHO | ICANON | ISIG), 0u) << "raw meanwhile";
        terminal->type("exit 0\r");
        EXPECT_EQ(terminal->finish(), 0);
        EXPECT_EQ(terminal->mode().c_lflag, before.c_lflag);
    }
    auto terminal = open();
    auto before = terminal->mode();
    ASSERT_TRUE(terminal->until("> ")) << terminal->shown();
    EXPECT_EQ(home().vmette({"stop", "--now", "box"}).code, 0);
    EXPECT_EQ(terminal->finish(seconds(20)), 125) << terminal->shown();
    EXPECT_EQ(terminal->mode().c_lflag, before.c_lflag);
    EXPECT_EQ(terminal->mode().c_oflag, before.c_oflag);
}

TEST_F(ShellTest, ExecWithATerminalHasOneAndWithoutHasNone) {
    auto terminal = open({"exec", "box", "--tty", "--", "sh", "-c", "test -t 0 && test -t 1 && tty; exit 4"});
    EXPECT_TRUE(terminal->until("/dev/pts/")) << terminal->shown();
    EXPECT_EQ(terminal->finish(), 4) << terminal->shown();
    auto plain = open({"exec", "box", "-n", "--", "sh", "-c", "test -t 1 || echo none; printf '\\033]0;title\\007'"});
    EXPECT_TRUE(plain->until("none")) << plain->shown();
    EXPECT_EQ(plain->finish(), 0);
    EXPECT_THAT(plain->shown(), AllOf(HasSubstr("\\x1b]0;title\\x07"), Not(HasSubstr("\x1b]0;"))));
}

/// The same under a terminal multiplexer, which is what people really use.
TEST_F(ShellTest, InTmuxItResizesAndEndsAsAPersonSeesIt) {
    if (!find_program("tmux")) GTEST_SKIP() << "tmux is not installed";
    auto socket = (home().folder() / "tmux").string();
    auto tmux = [&](std::vector<std::string> words) {
        words.insert(words.begin(), {"tmux", "-f", "/dev/null", "-S", socket});
        auto said = run_captured({.argv = std::move(words), .environment = home().environment()}, seconds(10));
        return said ? said->out : said.error().text();
    };
    auto shows = [&](std::string_view text) {
        return eventually([&] { return tmux({"capture-pane", "-p", "-t", "s"}).find(text) != std::string::npos; },
                          seconds(20));
    };
    auto shell = fmt::format(
        "{} shell box -e 'PS1=guest> '; echo code $?; stty -a | tr ' ' '\\n' | grep -x echo && echo as before; sleep "
        "100",
        vmette_binary().string());
    tmux({"new-session", "-d", "-s", "s", "-x", "90", "-y", "20", "sh", "-c", shell});
    ASSERT_TRUE(shows("guest>")) << tmux({"capture-pane", "-p", "-t", "s"});
    tmux({"send-keys", "-t", "s", "stty size", "Enter"});
    EXPECT_TRUE(shows("20 90")) << tmux({"capture-pane", "-p", "-t", "s"});
    tmux({"resize-window", "-t", "s", "-x", "70", "-y", "15"});
    EXPECT_TRUE(eventually(
        [&] {
            tmux({"send-keys", "-t", "s", "stty size", "Enter"});
            return tmux({"capture-pane", "-p", "-t", "s"}).find("15 70") != std::string::npos;
        },
        seconds(20)))
        << tmux({"capture-pane", "-p", "-t", "s"});
    tmux({"send-keys", "-t", "s", "sleep 500", "Enter"});
    ASSERT_TRUE(shows("sleep 500"));
    // The guest's shell may have echoed the line and not yet begun it: keys are typed until its prompt is back.
    auto interrupted = [&] {
        tmux({"send-keys", "-t", "s", "C-c"});
        auto screen = tmux({"capture-pane", "-p", "-t", "s"});
        auto end = screen.find_last_not_of(" \n");
        return end != std::string::npos && std::string_view(screen).substr(0, end + 1).ends_with("\nguest>");
    };
    EXPECT_TRUE(eventually(interrupted, seconds(20))) << tmux({"capture-pane", "-p", "-t", "s"});
    tmux({"send-keys", "-t", "s", "exit 6", "Enter"});
    EXPECT_TRUE(shows("code 6")) << tmux({"capture-pane", "-p", "-t", "s"});
    EXPECT_TRUE(shows("as before")) << "the terminal echoes again";
    tmux({"kill-server"});
}

}  // namespace
}  // namespace vmette::testing
