#pragma once
/// A child on a terminal of its own, as a person would start it.

#include <termios.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "support/vmette_process.h"

namespace vmette::testing {

/// One child, leader of a session whose controlling terminal is the pseudo-terminal. Dropping it kills it.
class PseudoTerminal {
public:
    /// Throws std::runtime_error when it cannot be made.
    PseudoTerminal(std::vector<std::string> argv, const std::vector<std::string>& environment, unsigned short columns,
                   unsigned short rows);
    PseudoTerminal(const PseudoTerminal&) = delete;
    PseudoTerminal& operator=(const PseudoTerminal&) = delete;
    ~PseudoTerminal();

    void type(std::string_view keys);
    /// The kernel tells the child by SIGWINCH.
    void resize(unsigned short columns, unsigned short rows);
    termios mode() const;
    /// Until the screen has shown this text since the last call of forget().
    bool until(std::string_view text, Duration limit = std::chrono::seconds(30));
    void forget() { shown_.clear(); }
    const std::string& shown() const { return shown_; }
    /// Exit code; -1 when it did not end by itself in time.
    int finish(Duration limit = std::chrono::seconds(60));

private:
    void pump(Duration limit);

    pid_t pid_ = -1;
    Fd master_;
    std::string shown_;
    std::optional<int> status_;
};

}  // namespace vmette::testing
