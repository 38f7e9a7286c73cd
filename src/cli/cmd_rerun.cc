/// vmette rerun: a run of the history once more.

#include "base/text.h"
#include "cli/foreground.h"
#include "cli/manifest_source.h"
#include "cli/toml_text.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

class RerunCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& id = arguments.operand("ID", id_, "an id, the beginning of one, or a name (its newest run)");
        id.required = true;
        id.completes = Completes::runs;
        arguments.option("--set", "K=V", set_, "change one key, as --set limits.timeout=2s");
        arguments.option("-e,--env", "K=V", env_, "set a variable in the guest; K alone takes its value from here");
        arguments.flag("--unpinned", unpinned_, "take the image that the source names now");
        run_.define(arguments);
        arguments.command(command_);
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(store::Store * store, context.swept_store());
        VMETTE_TRY(auto old, store->find_run(*id_));
        VMETTE_TRY(auto request, request_of(context, old));
        auto sandbox = load_or_report(context, request);
        if (!sandbox) return scheduler::kExitUsage;
        // Another root is another image.
        bool same_root = sandbox->rootfs.source == old.image_source;
        if (!unpinned_ && same_root) run_.image_digest = old.image_digest;
        return run_in_foreground(context, *sandbox, run_);
    }

private:
    Result<manifest::LoadRequest> request_of(Context& context, const store::RunRecord& old) const {
        VMETTE_CHECK_OK(check_utf8(command_, "the command after `--`"));
        VMETTE_TRY(std::string env, env_table(env_));
        VMETTE_TRY(auto request, manifest_request(context, "run " + old.id, old.manifest));
        // The defaults of then are in the manifest already; those of now have no say.
        for (auto& source : request.sources)
            if (source.defaults_table) source.text.clear();
        std::string command = command_.empty() ? "" : fmt::format("exec = {}\n", toml_argv(command_));
        if (!command.empty() || !env.empty())
            request.sources.push_back({.name = "command line", .folder = request.set_folder, .text = command + env});
        request.set = set_;
        return request;
    }

    std::optional<std::string> id_;
    std::vector<std::string> set_, env_, command_;
    bool unpinned_ = false;
    RunFlags run_;
};

}  // namespace

const Verb kRerunVerb{
    .name = "rerun",
    .summary = "run a run of the history once more",
    .description =
        "Its resolved manifest, with what --set and --env change, on the image that it had: an image that is no\n"
        "longer in the cache is made again, and refused when it has become another one. Shared folders are as they\n"
        "are now. A command after `--` takes the place of `exec`.",
    .example = "vmette rerun build --set limits.memory=2G",
    .exit_codes = kRunExitCodes,
    .failure_code = scheduler::kExitFailure,
    .make = make_command<RerunCommand>,
};

}  // namespace vmette::cli
