#pragma once
/// A run in the foreground: what `up` and `run` do once they have a sandbox.

#include <string>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/context.h"
#include "manifest/sandbox.h"

namespace vmette::cli {

/// Flags that `up` and `run` share.
struct RunFlags {
    bool json = false;
    bool stream = false;
    bool keep_logs = true;
    bool offline = false;
    bool detach = false;
    std::optional<std::string> vsock_exec;
    std::string image_digest;  ///< no flag: as RunOptions has it

    void define(Arguments& arguments);
};

/// Their exit codes, for the help.
extern const std::string_view kRunExitCodes;

/// Runs it to its end and returns the exit code. `unsupported` when the sandbox asks for what is not available yet.
Result<int> run_in_foreground(Context& context, const manifest::Sandbox& sandbox, const RunFlags& flags);

/// Says why a run ended, when that was not the command's own doing.
void say_reason(Console& console, const store::RunRecord& record);

}  // namespace vmette::cli
