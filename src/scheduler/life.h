#pragma once
/// The life of a run as a table: what happens next is a pure function of where the run is and what came. No clock, no
/// process, no I/O: it is tested whole.

#include <string_view>

namespace vmette::scheduler {

enum class State {
    booting,     ///< QEMU runs, the guest has not said hello
    setting_up,  ///< the guest arranges root, shares, network
    starting,    ///< the command was asked for
    running,
    stopping,    ///< TERM was sent; the grace runs
    collecting,  ///< the command ended; sync and figures
    over,        ///< nothing more is awaited: pull the machine
};

enum class Event {
    hello,
    ready,
    started,
    exited,
    guest_failure,
    finished,
    death,
    boot_timeout,  ///< the guest was not ready in time
    command_timeout,
    idle_timeout,
    stop,      ///< the first SIGINT, SIGTERM or SIGHUP, or a caller's request
    stop_now,  ///< a second one
    grace_over,
    collect_timeout,  ///< the guest did not finish its sync
};

enum class Action {
    none,
    send_setup,
    send_exec,
    note_start,  ///< the command began: start its clocks
    terminate,   ///< TERM to the command, start the grace
    collect,     ///< ask for sync and figures
};

struct Transition {
    State next;
    Action action;
    /// This event decides why the run ended, unless an earlier one did.
    bool is_cause;
    bool operator==(const Transition&) const = default;
};

/// Total: every event is defined in every state. Events that make no sense (a guest that says `ready` twice) leave the
/// state as it is; the channel has refused them already.
Transition next(State state, Event event);

std::string_view to_string(State state);
std::string_view to_string(Event event);

}  // namespace vmette::scheduler
