/// vmette up: a sandbox from its manifest, in the foreground.

#include "cli/foreground.h"
#include "cli/manifest_source.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

class UpCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        manifest_.define(arguments);
        run_.define(arguments);
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto request, manifest_request(context, manifest_));
        auto sandbox = load_or_report(context, request);
        if (!sandbox) return scheduler::kExitUsage;
        return run_in_foreground(context, *sandbox, run_);
    }

private:
    ManifestFlags manifest_;
    RunFlags run_;
};

}  // namespace

const Verb kUpVerb{
    .name = "up",
    .summary = "run a sandbox in the foreground and exit with its code",
    .description =
        "Boots a microVM as the manifest says, runs its command, and tears everything down. What the\n"
        "command writes comes out as it would here. A command after `--` takes the place of `exec`.",
    .example = "vmette up sandbox.toml --set limits.timeout=30s -- make test",
    .exit_codes = kRunExitCodes,
    .failure_code = scheduler::kExitFailure,
    .make = make_command<UpCommand>,
};

}  // namespace vmette::cli
