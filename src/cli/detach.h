#pragma once
/// A run that goes on without its terminal.

#include "base/error.h"
#include "cli/context.h"
#include "cli/foreground.h"
#include "manifest/sandbox.h"

namespace vmette::cli {

/// Starts it in a process of its own, a session leader without a terminal, and returns in the caller: with 0 once the
/// command runs and the id is printed, with what `up` would have ended with when it never came to that. Requires that
/// the database has not been opened: a connection does not survive fork(2).
Result<int> run_detached(Context& context, const manifest::Sandbox& sandbox, const RunFlags& flags);

}  // namespace vmette::cli
