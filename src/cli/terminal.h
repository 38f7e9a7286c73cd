#pragma once
/// The user's terminal in raw mode, and back, whatever happens.

#include <memory>

namespace vmette::cli {

/// Puts a terminal into raw mode for as long as it lives: every key goes to the guest. The old mode comes back on
/// destruction, at exit(), and when a signal ends the process (a SIGKILL leaves it: `reset` helps then). One at a time
/// in a process: what restores it in a signal handler has nowhere else to look than a global.
class RawTerminal {
public:
    /// Null when `fd` is no terminal, or one that this process may not change now (it is in the background).
    static std::unique_ptr<RawTerminal> enter(int fd);
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    ~RawTerminal();

private:
    RawTerminal() = default;
};

}  // namespace vmette::cli
