#include "support/pseudo_terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace vmette::testing {

PseudoTerminal::PseudoTerminal(std::vector<std::string> argv, const std::vector<std::string>& environment,
                               unsigned short columns, unsigned short rows) {
    std::vector<char*> words;
    for (auto& word : argv) words.push_back(word.data());
    words.push_back(nullptr);
    winsize size{rows, columns, 0, 0};
    int master = -1;
    pid_ = ::forkpty(&master, nullptr, nullptr, &size);
    if (pid_ < 0) throw std::runtime_error("forkpty failed");
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (const auto& variable : environment) ::putenv(::strdup(variable.c_str()));
        ::execv(words[0], words.data());
        ::_exit(126);
    }
    master_ = Fd(master);
    ::fcntl(master, F_SETFD, FD_CLOEXEC);
    (void)set_non_blocking(master, true);
}

PseudoTerminal::~PseudoTerminal() {
    if (status_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

void PseudoTerminal::type(std::string_view keys) { (void)write_all(master_.get(), keys); }

void PseudoTerminal::resize(unsigned short columns, unsigned short rows) {
    winsize size{rows, columns, 0, 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
}

termios PseudoTerminal::mode() const {
    termios mode{};
    ::tcgetattr(master_.get(), &mode);
    return mode;
}

void PseudoTerminal::pump(Duration limit) {
    pollfd polled{master_.get(), POLLIN, 0};
    ::poll(&polled, 1, static_cast<int>(std::clamp(limit, Duration(0), Duration(20)).count()));
    int status = 0;
    if (!status_ && ::waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    std::array<char, 4096> buffer;
    for (ssize_t n; (n = ::read(master_.get(), buffer.data(), buffer.size())) > 0;)
        shown_.append(buffer.data(), static_cast<std::size_t>(n));
}

bool PseudoTerminal::until(std::string_view text, Duration limit) {
    auto deadline = std::chrono::steady_clock::now() + limit;
    while (shown_.find(text) == shown_.npos) {
        auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
        if (status_ || left.count() <= 0) return false;
        pump(left);
    }
    return true;
}

int PseudoTerminal::finish(Duration limit) {
    auto deadline = std::chrono::steady_clock::now() + limit;
    while (!status_ && std::chrono::steady_clock::now() < deadline) pump(Duration(20));
    return status_ && WIFEXITED(*status_) ? WEXITSTATUS(*status_) : -1;
}

}  // namespace vmette::testing
