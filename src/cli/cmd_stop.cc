/// vmette stop: ends live runs.

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/fd.h"
#include "base/text.h"
#include "cli/live_runs.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

class StopCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& ids = arguments.operands("ID", ids_, "ids, beginnings of ids, or names of live runs");
        ids.required = true;
        ids.completes = Completes::runs;
        arguments.flag("--now", now_, "pull the machine at once, without grace");
        arguments.flag("--no-wait", no_wait_, "return when it is asked for, not when it has ended");
    }

    Result<int> run(Context& context) override {
        std::vector<EndWatch> asked;
        int code = 0;
        // One that cannot be stopped is no reason to leave the others running.
        auto refuse = [&](const Error& error) {
            context.console().error(error.text());
            code = std::max(code, error.code == ErrorCode::bad_input ? 2 : 1);
        };
        for (const auto& id : ids_) {
            auto run = find_live_run(context, id);
            if (!run && has_ended(context, id, run.error())) continue;
            if (!run) {
                refuse(run.error());
                continue;
            }
            EndWatch watch(context, run->id);
            if (auto done = ask(context, watch, *run); !done)
                refuse(done.error());
            else
                asked.push_back(std::move(watch));
        }
        for (auto& watch : asked)
            if (auto end = no_wait_ ? Result<>() : ended(watch); !end) refuse(end.error());
        return code;
    }

private:
    /// Then there is nothing to do but to say so.
    static bool has_ended(Context& context, const std::string& id, const Error& error) {
        if (error.code != ErrorCode::not_found || !find_any_run(context, id)) return false;
        context.console().note(error.text());
        return true;
    }

    static Result<> ended(EndWatch& watch) {
        VMETTE_CHECK_OK(watch.wait());
        return {};
    }

    Result<> ask(Context& context, EndWatch& watch, const store::RunRecord& run) const {
        auto answered = watch.stop(now_);
        if (!answered && answered.error().code != ErrorCode::not_found) return Failure(answered.error());
        if (answered && *answered) return {};
        // It ended meanwhile: that is what was asked for.
        VMETTE_TRY(auto end, watch.look(Duration{0}));
        if (end) return {};
        VMETTE_TRY(store::Store * store, context.store());
        VMETTE_TRY(auto record, store->get_run(run.id));
        if (record && !record->batch.empty())
            return fail(ErrorCode::busy, "run {} is still being prepared; `vmette batch cancel {} {}` ends it", run.id,
                        record->batch, shell_quote(record->job));
        // The process does nothing but this run, and takes SIGTERM as the same wish.
        Fd process(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(run.owner.pid), 0)));
        if (process && is_alive(run.owner)) ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
        return {};
    }

    std::vector<std::string> ids_;
    bool now_ = false, no_wait_ = false;
};

}  // namespace

const Verb kStopVerb{
    .name = "stop",
    .summary = "end live runs",
    .description =
        "The command gets TERM, and the grace of its manifest to end; then the machine is pulled. Asked a second "
        "time,\n"
        "or with --now, it is pulled at once. Returns when the runs have ended. One\n"
        "that cannot be stopped is said, and the others are stopped.",
    .example = "vmette stop web --now",
    .exit_codes =
        "0  ended, or had before\n1  there is no such run, or it could not be stopped\n2  wrong usage, or several runs "
        "fit",
    .make = make_command<StopCommand>,
};

}  // namespace vmette::cli
