#include "cli/terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>

namespace vmette::cli {
namespace {

/// Signals that end a process by default and that nobody else handles while a run is on (the scheduler takes INT, TERM
/// and HUP).
constexpr std::array kFatal{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGQUIT, SIGXCPU, SIGXFSZ, SIGALRM};

/// Descriptor of the terminal in raw mode; -1: none. What stands below is valid while it is not -1.
std::atomic<int> raw_fd{-1};
termios saved_mode;
std::array<struct sigaction, kFatal.size()> saved_actions;

/// Safe in a signal handler.
void restore_mode() {
    int fd = raw_fd.exchange(-1);
    if (fd >= 0) ::tcsetattr(fd, TCSANOW, &saved_mode);
}

/// SA_RESETHAND has put the default back: raising it again ends the process as it would have ended.
void on_fatal_signal(int number) {
    restore_mode();
    ::raise(number);
}

}  // namespace

std::unique_ptr<RawTerminal> RawTerminal::enter(int fd) {
    if (raw_fd >= 0 || ::tcgetattr(fd, &saved_mode) != 0) return nullptr;
    if (::tcgetpgrp(fd) != ::getpgrp()) return nullptr;  // tcsetattr would stop us
    static const bool registered = ::atexit(restore_mode) == 0;
    if (!registered) return nullptr;
    raw_fd = fd;
    for (std::size_t i = 0; i < kFatal.size(); ++i) {
        struct sigaction action{};
        action.sa_handler = on_fatal_signal;
        action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
        ::sigaction(kFatal[i], &action, &saved_actions[i]);
    }
    termios raw = saved_mode;
    ::cfmakeraw(&raw);
    ::tcsetattr(fd, TCSADRAIN, &raw);
    return std::unique_ptr<RawTerminal>(new RawTerminal());
}

RawTerminal::~RawTerminal() {
    restore_mode();
    for (std::size_t i = 0; i < kFatal.size(); ++i) ::sigaction(kFatal[i], &saved_actions[i], nullptr);
}

}  // namespace vmette::cli
