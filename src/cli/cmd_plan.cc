/// vmette plan: what `up` would do, without doing it.

#include "base/text.h"
#include "cli/json_writer.h"
#include "cli/manifest_source.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

/// A path or an argument in a comment: no line end may leave it.
std::string in_comment(const std::string& text) { return harmless_line(text, 100'000); }

/// The command, one option a line with its value.
std::string command_comment(const std::vector<std::string>& argv) {
    std::string out = "#";
    for (std::size_t i = 0; i < argv.size(); ++i) {
        if (i > 0 && argv[i].starts_with('-')) out += " \\\n#   ";
        out += " " + in_comment(shell_quote(argv[i]));
    }
    return out + "\n";
}

std::string as_toml(const scheduler::RunPlan& plan) {
    std::string out = manifest::to_toml(plan.sandbox);
    if (!out.ends_with('\n')) out += '\n';
    out += fmt::format("\n# rootfs by: {}\n# kernel: {}\n# initramfs: {}\n# devices: {} of {}\n", plan.provider,
                       in_comment(plan.assets.kernel), in_comment(plan.assets.initramfs), plan.devices.used,
                       plan.devices.limit);
    for (const auto& sentence : plan.not_available) out += fmt::format("# {}\n", in_comment(sentence));
    return out + command_comment(plan.qemu_argv);
}

std::string as_json(const scheduler::RunPlan& plan) {
    return JsonObject()
               .text("manifest", manifest::to_toml(plan.sandbox))
               .text("provider", plan.provider)
               .text("kernel", plan.assets.kernel.string())
               .text("initramfs", plan.assets.initramfs.string())
               .raw("devices",
                    JsonObject().number("used", plan.devices.used).number("limit", plan.devices.limit).render())
               .texts("not_available", plan.not_available)
               .texts("qemu", plan.qemu_argv)
               .render() +
           "\n";
}

class PlanCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        manifest_.define(arguments);
        arguments.flag("--json", json_, "print one document");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto request, manifest_request(context, manifest_));
        auto sandbox = load_or_report(context, request);
        if (!sandbox) return scheduler::kExitUsage;
        VMETTE_TRY(const Layout* layout, context.layout());
        auto plan = plan_here(*layout, *sandbox, context.clock());
        if (!plan) return Failure(plan.error());
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(*plan) : as_toml(*plan)));
        return 0;
    }

private:
    /// With what is remembered of this host where there is a database, and without it where that does not do: a plan
    /// writes nothing.
    static Result<scheduler::RunPlan> plan_here(const Layout& layout, const manifest::Sandbox& sandbox,
                                                const Clock& clock) {
        auto providers = rootfs::Registry::with_builtin();
        if (auto store = store::Store::open_read_only(layout.database(), clock)) {
            if (auto plan = scheduler::plan_run(layout, sandbox, providers, &*store)) return plan;
        }
        return scheduler::plan_run(layout, sandbox, providers, nullptr);
    }

    ManifestFlags manifest_;
    bool json_ = false;
};

}  // namespace

const Verb kPlanVerb{
    .name = "plan",
    .summary = "print the merged, resolved manifest and the QEMU command; start nothing",
    .description = "What it prints is itself a valid manifest; the rest stands in comments. It takes what `up` takes.",
    .example = "vmette plan sandbox.toml --set limits.memory=2G",
    .exit_codes = "0  planned\n1  it cannot be planned here: the kernel is missing, say\n2  wrong usage or manifest",
    .make = make_command<PlanCommand>,
};

}  // namespace vmette::cli
