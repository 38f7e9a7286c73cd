/// vmette wait: until a run has ended.

#include "cli/live_runs.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

class WaitCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "an id, the beginning of one, or a name (its newest run)");
        id.required = true;
        id.completes = Completes::runs;
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto run, find_any_run(context, *id_));
        EndWatch watch(context, run.id);
        VMETTE_TRY(auto end, watch.wait());
        return end.exit_code;
    }

private:
    std::optional<std::string> id_;
};

}  // namespace

const Verb kWaitVerb{
    .name = "wait",
    .summary = "wait until a run has ended, and exit with its code",
    .description = "The code is the one that `vmette up` ends with. A run that has ended already is not waited for.",
    .example = "vmette wait web",
    .exit_codes =
        "0-255    the run's, as of `vmette up`\n"
        "125      there is no such run, or it was lost\n"
        "2        wrong usage, or several live runs fit",
    .failure_code = scheduler::kExitFailure,
    .make = make_command<WaitCommand>,
};

}  // namespace vmette::cli
