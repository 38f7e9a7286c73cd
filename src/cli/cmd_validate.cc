/// vmette validate: is this a manifest?

#include "base/text.h"
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
            auto sandbox = manifest::load(request);
            valid = valid && sandbox.has_value();
            if (json_)
                documents.push_back(document(set, sandbox));
            else
                VMETTE_CHECK_OK(say(context.console(), set, sandbox));
        }
        if (json_) VMETTE_CHECK_OK(context.console().write((each_ ? json_array(documents) : documents[0]) + "\n"));
        return valid ? 0 : int{scheduler::kExitUsage};
    }

private:
    using Loaded = std::expected<manifest::Sandbox, Diagnostics>;

    static std::string document(const ManifestFlags& set, const Loaded& sandbox) {
        std::vector<std::string> diagnostics;
        std::vector<std::string> missing;
        if (sandbox)
            missing = manifest::not_available_yet(*sandbox);
        else
            for (const auto& diagnostic : sandbox.error()) diagnostics.push_back(diagnostic_json(diagnostic));
        return JsonObject()
            .texts("files", set.files)
            .boolean("valid", sandbox.has_value())
            .raw("diagnostics", json_array(diagnostics))
            .texts("not_available", missing)
            .render();
    }

    static Result<> say(Console& console, const ManifestFlags& set, const Loaded& sandbox) {
        std::string files = harmless_line(fmt::format("{}", fmt::join(set.files, " + ")), 1000);
        if (!sandbox) {
            console.write_err(manifest::render(sandbox.error()));
            return {};
        }
        for (const auto& sentence : manifest::not_available_yet(*sandbox))
            console.warning(fmt::format("{}: {}", files, sentence));
        return console.write(fmt::format("{}: valid\n", files));
    }

    ManifestFlags manifest_;
    bool each_ = false;
    bool json_ = false;
};

}  // namespace

const Verb kValidateVerb{
    .name = "validate",
    .summary = "check a manifest and say everything that is wrong with it",
    .description = "Takes what `up` takes: several files are one manifest, merged, unless --each is given.",
    .example = "vmette validate --each examples/*.toml",
    .exit_codes = "0  valid\n2  not valid, or wrong usage",
    .make = make_command<ValidateCommand>,
};

}  // namespace vmette::cli
