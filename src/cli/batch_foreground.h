#pragma once
/// A batch in the foreground: what `batch run`, `resume` and `retry` do once they own one.

#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/context.h"
#include "store/batches.h"

namespace vmette::cli {

struct BatchFlags {
    std::optional<std::string> events;
    bool offline = false;
    bool no_cache = false;
    bool json = false;

    void define(Arguments& arguments);
};

extern const std::string_view kBatchExitCodes;

/// Drives the batch to its end and says how it went; returns the exit code.
Result<int> drive_in_foreground(Context& context, const store::BatchRecord& batch, const BatchFlags& flags);

/// Takes the batch of that id or name for this process and brings its queue up to date with the history.
Result<store::BatchRecord> take_batch(Context& context, const std::string& id);

}  // namespace vmette::cli
