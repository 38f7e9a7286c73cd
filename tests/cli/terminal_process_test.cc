#include "cli/terminal.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <functional>

#include <gtest/gtest.h>

#include "base/fd.h"

namespace vmette::cli {
namespace {

struct Terminal {
    Fd ours, theirs;
    bool cooked() const {
        termios mode{};
        EXPECT_EQ(::tcgetattr(theirs.get(), &mode), 0);
        return (mode.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG);
    }
};

Terminal open_terminal() {
    int ours = -1;
    int theirs = -1;
    EXPECT_EQ(::openpty(&ours, &theirs, nullptr, nullptr, nullptr), 0);
    return {Fd(ours), Fd(theirs)};
}

/// In a child whose terminal it is: raw mode, a word to us that it is on, then `rest`. Returns the wait status and
/// whether the mode was seen to be raw meanwhile.
std::pair<int, bool> in_child(const Terminal& terminal, const std::function<void()>& rest) {
    auto ready = make_pipe().value();
    auto go = make_pipe().value();
    pid_t child = ::fork();
    if (child == 0) {
        ::setsid();
        ::ioctl(terminal.theirs.get(), TIOCSCTTY, 0);
        auto raw = RawTerminal::enter(terminal.theirs.get());
        char byte = raw ? 'r' : 'n';
        if (::write(ready[1].get(), &byte, 1) != 1 || ::read(go[0].get(), &byte, 1) < 0) ::_exit(99);
        rest();
        raw.reset();
        ::_exit(0);
    }
    char byte = 0;
    EXPECT_EQ(::read(ready[0].get(), &byte, 1), 1);
    bool was_raw = byte == 'r' && !terminal.cooked();
    EXPECT_EQ(::write(go[1].get(), "g", 1), 1);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return {status, was_raw};
}

TEST(RawTerminalTest, ComesBackAtTheEnd) {
    auto terminal = open_terminal();
    ASSERT_TRUE(terminal.cooked());
    auto [status, was_raw] = in_child(terminal, [] {});
    EXPECT_TRUE(was_raw);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(terminal.cooked());
}

TEST(RawTerminalTest, ComesBackAtExit) {
    auto terminal = open_terminal();
    auto [status, was_raw] = in_child(terminal, [] { ::exit(3); });
    EXPECT_TRUE(was_raw);
    EXPECT_EQ(WEXITSTATUS(status), 3);
    EXPECT_TRUE(terminal.cooked());
}

TEST(RawTerminalTest, ComesBackWhenASignalEndsUs) {
    for (int number : {SIGSEGV, SIGABRT, SIGQUIT}) {
        auto terminal = open_terminal();
        auto [status, was_raw] = in_child(terminal, [&] { ::raise(number); });
        EXPECT_TRUE(was_raw);
        ASSERT_TRUE(WIFSIGNALED(status)) << number;
        EXPECT_EQ(WTERMSIG(status), number) << "the signal still does what it does";
        EXPECT_TRUE(terminal.cooked()) << number;
    }
}

TEST(RawTerminalTest, IsRefusedForWhatIsNoTerminal) {
    auto pipe = make_pipe().value();
    EXPECT_EQ(RawTerminal::enter(pipe[0].get()), nullptr);
}

TEST(RawTerminalTest, IsRefusedInTheBackground) {
    auto terminal = open_terminal();  // not our controlling terminal: as far from the foreground as can be
    EXPECT_EQ(RawTerminal::enter(terminal.theirs.get()), nullptr);
    EXPECT_TRUE(terminal.cooked());
}

}  // namespace
}  // namespace vmette::cli
