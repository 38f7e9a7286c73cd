/// vmette plan: what `up` would do, without doing it.

#include "base/text.h"
#include "cli/batch_manifest.h"
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

/// What is beside the manifest, in comments.
std::string in_comments(const scheduler::RunPlan& plan) {
    std::string out = fmt::format("# rootfs by: {}\n# kernel: {}\n# initramfs: {}\n# devices: {} of {}\n",
                                  plan.provider, in_comment(plan.assets.kernel), in_comment(plan.assets.initramfs),
                                  plan.devices.used, plan.devices.limit);
    for (const auto& sentence : plan.not_available) out += fmt::format("# {}\n", in_comment(sentence));
    return out + command_comment(plan.qemu_argv);
}

std::string as_toml(const scheduler::RunPlan& plan) {
    std::string out = manifest::to_toml(plan.sandbox);
    if (!out.ends_with('\n')) out += '\n';
    return out + "\n" + in_comments(plan);
}

std::string as_json(const scheduler::RunPlan& plan) {
    return JsonObject()
        .text("manifest", manifest::to_toml(plan.sandbox))
        .text("provider", plan.provider)
        .text("kernel", plan.assets.kernel.string())
        .text("initramfs", plan.assets.initramfs.string())
        .raw("devices", JsonObject().number("used", plan.devices.used).number("limit", plan.devices.limit).render())
        .texts("not_available", plan.not_available)
        .texts("qemu", plan.qemu_argv)
        .render();
}

class PlanCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        manifest_.define(arguments);
        arguments.option("--job", "NAME", job_, "of a batch: this job alone, as a sandbox's manifest");
        arguments.flag("--json", json_, "print one document");
    }

    Result<int> run(Context& context) override {
        VMETTE_TRY(auto request, manifest_request(context, manifest_));
        if (is_batch(request)) return plan_batch(context, request);
        if (job_) return fail(ErrorCode::bad_input, "--job is for a batch manifest");
        auto sandbox = load_or_report(context, request);
        if (!sandbox) return scheduler::kExitUsage;
        return plan_one(context, *sandbox);
    }

private:
    Result<int> plan_one(Context& context, const manifest::Sandbox& sandbox) {
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto plan, plan_here(*layout, sandbox, context.clock()));
        VMETTE_CHECK_OK(context.console().write(json_ ? as_json(plan) + "\n" : as_toml(plan)));
        return 0;
    }

    Result<int> plan_batch(Context& context, const manifest::LoadRequest& request) {
        BatchPlanner batch(request);
        if (auto diagnostics = batch.read(job_); !diagnostics.empty()) {
            context.console().write_err(manifest::render(diagnostics));
            return scheduler::kExitUsage;
        }
        const manifest::Sandbox* sandbox = batch.chosen();
        if (sandbox == nullptr)
            return fail(ErrorCode::bad_input, "the batch has no job {}", harmless_line(job_.value_or("")));
        if (job_) return plan_one(context, *sandbox);
        VMETTE_TRY(const Layout* layout, context.layout());
        VMETTE_TRY(auto plan, plan_here(*layout, *sandbox, context.clock()));
        Console& console = context.console();
        if (json_) {
            std::string text;
            VMETTE_CHECK_OK(batch.write([&](const std::string& piece) -> Result<> {
                text += piece;
                return {};
            }));
            VMETTE_CHECK_OK(console.write(
                JsonObject().text("manifest", text).texts("jobs", batch.jobs()).raw("first", as_json(plan)).render() +
                "\n"));
            return 0;
        }
        VMETTE_CHECK_OK(batch.write([&](const std::string& piece) { return console.write(piece); }));
        VMETTE_CHECK_OK(console.write(
            fmt::format("\n# {} jobs, {} at once. The first, {}; --job NAME shows another:\n{}", batch.jobs().size(),
                        batch.batch().rules.pool.vms, sandbox->name, in_comments(plan))));
        return 0;
    }

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
    std::optional<std::string> job_;
    bool json_ = false;
};

}  // namespace

const Verb kPlanVerb{
    .name = "plan",
    .summary = "print the merged, resolved manifest and the QEMU command; start nothing",
    .description =
        "What it prints is itself a valid manifest; the rest stands in comments. It takes what `up` takes, and batch\n"
        "manifests: of these every job is printed, expanded, with the command of the first.",
    .example = "vmette plan sandbox.toml --set limits.memory=2G",
    .exit_codes = "0  planned\n1  it cannot be planned here: the kernel is missing, say\n2  wrong usage or manifest",
    .make = make_command<PlanCommand>,
};

}  // namespace vmette::cli
