/// vmette validate: is this a manifest?

#include "base/text.h"
#include "cli/batch_manifest.h"
#include "cli/json_writer.h"
#include "cli/manifest_source.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

using Diagnostics = std::vector<manifest::Diagnostic>;

std::string diagnostic_json(const manifest::Diagnostic& diagnostic) {
    return JsonObject()
        .text("file", diagnostic.file)
        .number("line", diagnostic.line)
        .number("column", diagnostic.column)
        .text("message", diagnostic.message)
        .text("source_line", diagnostic.source_line)
        .render();
}

class ValidateCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        manifest_.define(arguments);
        arguments.flag("--each", each_, "check every file on its own instead of all of them merged");
        arguments.flag("--json", json_, "print one document");
    }

    Result<int> run(Context& context) override {
        std::vector<ManifestFlags> sets{manifest_};
        if (each_) {
            sets.assign(manifest_.files.size(), manifest_);
            for (std::size_t i = 0; i < sets.size(); ++i) sets[i].files = {manifest_.files[i]};
        }
        bool valid = true;
        std::vector<std::string> documents;
        for (const auto& set : sets) {
            VMETTE_TRY(auto request, manifest_request(context, set));
            Checked checked = check(request);
            valid = valid && checked.diagnostics.empty();
            if (json_)
                documents.push_back(document(set, checked));
            else
                VMETTE_CHECK_OK(say(context.console(), set, checked));
        }
        if (json_) VMETTE_CHECK_OK(context.console().write((each_ ? json_array(documents) : documents[0]) + "\n"));
        return valid ? 0 : int{scheduler::kExitUsage};
    }

private:
    struct Checked {
        Diagnostics diagnostics;
        std::vector<std::string> not_available;
        std::optional<std::uint32_t> jobs;  ///< of a batch
    };

    static Checked check(const manifest::LoadRequest& request) {
        if (is_batch(request)) {
            BatchCheck batch = check_batch(request);
            return {std::move(batch.diagnostics), std::move(batch.not_available), batch.jobs};
        }
        auto sandbox = manifest::load(request);
        if (!sandbox) return {sandbox.error(), {}, {}};
        return {{}, manifest::not_available_yet(*sandbox), {}};
    }

    static std::string document(const ManifestFlags& set, const Checked& checked) {
        std::vector<std::string> diagnostics;
        for (const auto& diagnostic : checked.diagnostics) diagnostics.push_back(diagnostic_json(diagnostic));
        JsonObject object;
        object.texts("files", set.files)
            .boolean("valid", checked.diagnostics.empty())
            .raw("diagnostics", json_array(diagnostics))
            .texts("not_available", checked.not_available);
        if (checked.jobs) object.number("jobs", *checked.jobs);
        return object.render();
    }

    static Result<> say(Console& console, const ManifestFlags& set, const Checked& checked) {
        std::string files = harmless_line(fmt::format("{}", fmt::join(set.files, " + ")), 1000);
        if (!checked.diagnostics.empty()) {
            console.write_err(manifest::render(checked.diagnostics));
            return {};
        }
        for (const auto& sentence : checked.not_available) console.warning(fmt::format("{}: {}", files, sentence));
        if (!checked.jobs) return console.write(fmt::format("{}: valid\n", files));
        return console.write(
            fmt::format("{}: valid, {} {}\n", files, *checked.jobs, *checked.jobs == 1 ? "job" : "jobs"));
    }

    ManifestFlags manifest_;
    bool each_ = false;
    bool json_ = false;
};

}  // namespace

const Verb kValidateVerb{
    .name = "validate",
    .summary = "check a manifest and say everything that is wrong with it",
    .description =
        "Takes what `up` takes, and batch manifests, whose jobs are all expanded and checked. Several files are one\n"
        "manifest, merged, unless --each is given.",
    .example = "vmette validate --each examples/*.toml",
    .exit_codes = "0  valid\n2  not valid, or wrong usage",
    .make = make_command<ValidateCommand>,
};

}  // namespace vmette::cli
