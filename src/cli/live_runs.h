#pragma once
/// Runs that are live now, as the verbs on them find them.

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/units.h"
#include "cli/context.h"
#include "scheduler/live/client.h"
#include "store/store.h"

namespace vmette::cli {

/// The live run of that id, name or beginning of an id; only id, name and owner are filled. Errors: not_found (the
/// message says when it has ended), bad_input (it fits several).
Result<store::RunRecord> find_live_run(Context& context, std::string_view word);
/// Only the id. Of a whole id whose socket is there the history is not asked, which takes as long as the command itself
/// may: who connects and finds nobody asks find_live_run() why.
Result<std::string> find_live_id(Context& context, std::string_view word);
/// The same among all runs, a live one before those that have ended. In full.
Result<store::RunRecord> find_any_run(Context& context, std::string_view word);

/// How a run ended.
struct RunEnd {
    int exit_code = 0;  ///< that of `vmette up`
    store::RunRecord record;
};

/// Waits for the end of one run. Its process tells; where it cannot be reached, the history is asked again and again.
class EndWatch {
public:
    EndWatch(Context& context, std::string run_id) : context_(context), id_(std::move(run_id)) {}

    /// Readable when look() has something to find out; -1: nothing can be waited for but time.
    int fd() const { return client_ ? client_->fd() : -1; }
    /// Waits at most so long. Nothing: it still runs.
    Result<std::optional<RunEnd>> look(Duration limit);
    /// Waits until the end.
    Result<RunEnd> wait();
    /// Asks the run's process to end it, and watches that connection. False: it does not answer, as one that still
    /// fetches an image does not. Errors: not_found (there is no process).
    Result<bool> stop(bool now);

private:
    Result<> connect(const scheduler::live::Request& request);
    /// Takes what the process says; true: the connection is at its end.
    Result<bool> listen(Duration limit);
    Result<std::optional<RunEnd>> ask_history();

    Context& context_;
    std::string id_;
    std::optional<scheduler::live::Client> client_;
    std::optional<int> told_;
};

}  // namespace vmette::cli
