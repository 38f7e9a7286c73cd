#pragma once
/// The parent's side of the image worker: starts it, feeds it, hears its report, ends it.

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "rootfs/report.h"

namespace vmette::rootfs {

/// A running worker. It dies with this object, and with the thread that started it. Move-only; one thread.
class Worker {
public:
    /// `input` becomes its standard input; `files` are (descriptor, number in the worker). All are borrowed.
    /// `not_found` names the places that were searched when the worker is not installed.
    static Result<Worker> start(std::vector<std::string> arguments, int input, std::vector<std::pair<int, int>> files);

    using OnProgress = std::function<void(const ProgressLine&)>;
    using OnNotice = std::function<void(const std::string&)>;
    using Cancelled = std::function<bool()>;
    /// Does `step` again and again while the worker lives and has not said its last word, then returns that word's
    /// fields; or the answer to a request, after which it may be run again. `step` returns the descriptor it wants to
    /// write to next, or -1 when it has nothing to do but wait. Errors: the worker's own; `cancelled`; `io` when the
    /// worker died without a word.
    Result<Fields> run(const std::function<Result<int>()>& step, const OnProgress& progress,
                       const Cancelled& cancelled);
    /// One turn of run() that does not wait: nothing while its word has not come.
    Result<std::optional<Fields>> turn(const std::function<Result<int>()>& step, const OnProgress& progress);

    /// Where its notices go, made harmless; nowhere before this is called.
    void on_notice(OnNotice notice) { notice_ = std::move(notice); }

private:
    Result<> read_report();
    Result<> take_line(std::string_view line);
    Result<> wait_for_end();
    Result<std::optional<Fields>> take_word(const OnProgress& progress);

    Process process_;
    Fd report_;
    std::string pending_;
    std::deque<ReportLine> lines_;
    OnNotice notice_;
};

}  // namespace vmette::rootfs
