#pragma once
/// The way from an Exec message to a running program.

#include <sys/types.h>

#include <string>
#include <vector>

#include "../protocol.h"
#include "accounts.h"
#include "cgroup.h"
#include "support.h"

namespace vmette::guest {

/// Why there is no program running.
struct LaunchFailure {
    wire::FailureKind kind = wire::FailureKind::setup;
    std::string message;
};

/// A program that runs, with init's ends of its descriptors (non-blocking).
struct Launched {
    pid_t pid = 0;
    Fd in;   ///< writes to its stdin; the terminal's master with a tty; null when stdin is /dev/null
    Fd out;  ///< reads its stdout; the terminal's master with a tty
    Fd err;  ///< reads its stderr; null with a tty
};

/// `owns_secrets`: the files of the secrets become its user's.
std::expected<Launched, LaunchFailure> launch(const wire::Exec& exec, const CommandGroup& group, bool owns_secrets);

/// The environment of the command: as sent, with PATH, HOME and (on a terminal) TERM where they are missing.
std::vector<std::string> make_environment(const wire::Exec& exec, const Account& account);

/// The six folders that a PATH has when nobody says otherwise.
constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace vmette::guest
