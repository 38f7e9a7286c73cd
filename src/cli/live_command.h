#pragma once
/// A command in a live run, from this process's side: its streams, its signals, its terminal.

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "cli/context.h"
#include "scheduler/live/client.h"
#include "scheduler/signals.h"

namespace vmette::cli {

/// Where its streams go. Borrowed; a descriptor that is non-blocking is filled as far as it takes, others by what a
/// pipe takes without blocking.
struct CommandStreams {
    int in = -1;  ///< -1: none
    int out = 1;
    int err = 2;
    /// The guest's control sequences become text where out or err are terminals.
    bool harmless = true;
    /// `in` is the user's terminal, in raw mode as long as this goes on; its size is followed.
    bool terminal = false;
    /// Signals that would end this process go to the command; a third ends the connection.
    bool forward_signals = true;
    /// Of `out`, in bytes: what the command writes beyond that is not passed on.
    std::uint64_t max_out = ~std::uint64_t{0};
};

struct CommandEnd {
    int exit_code = 0;         ///< 128+N for a signal
    bool out_gone = false;     ///< the reader of `out` left: the command was hung up on
    bool interrupted = false;  ///< by a signal to this process, which exit_code tells
    bool too_much = false;     ///< it wrote more than max_out, and was hung up on
};

/// Asks for the command of `request`, and stays until its end. `run_id`: a live run. Errors: not_found (no process
/// behind it, or it ended meanwhile), busy, and what the guest or the run say against it.
Result<CommandEnd> run_in_guest(Context& context, const std::string& run_id, scheduler::live::Request request,
                                const CommandStreams& streams);
/// The same with the caller's queue, for one who starts threads before: they inherit the mask.
Result<CommandEnd> run_in_guest(Context& context, const std::string& run_id, scheduler::live::Request request,
                                const CommandStreams& streams, scheduler::SignalQueue& signals);

}  // namespace vmette::cli
