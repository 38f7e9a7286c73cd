#pragma once
/// Why a run ended, and what vmette says of it: the specification's table of exit codes, as a pure function.

#include <optional>
#include <string>

#include "scheduler/life.h"
#include "store/store.h"
#include "vm/session.h"

namespace vmette::scheduler {

/// Everything that is known at the end.
struct Ending {
    std::optional<Event> cause;             ///< the event that decided; absent: it failed before there was a machine
    std::optional<vm::CommandEnd> command;  ///< how the command ended, when it did
    std::optional<vm::GuestFailure> guest_failure;
    std::optional<vm::Death> death;
    bool began = false;   ///< the command was started
    int stop_signal = 0;  ///< the signal that asked for the end (SIGINT, SIGTERM, SIGHUP); 0: none
    Duration limit{0};    ///< the limit of time that ended it, with the timeout events
    /// A failure of the host before or beside the machine, with the reason that it means.
    std::optional<Error> host_failure;
    std::string host_failure_reason;  ///< "image-error", "setup-error", "vm-error", "stopped"
};

struct Verdict {
    store::RunStatus status = store::RunStatus::failed;
    std::string reason;
    int exit_code = 0;                ///< of vmette
    std::optional<int> command_code;  ///< the command's own exit code
    std::optional<int> signal;
    bool started_before_failure = false;
    std::string error;  ///< one line; empty: nothing to add
};

Verdict judge(const Ending& ending);

}  // namespace vmette::scheduler
