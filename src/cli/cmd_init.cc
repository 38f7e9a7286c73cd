/// vmette init: a commented manifest to start from.

#include <fcntl.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/verbs.h"
#include "manifest/load.h"

namespace vmette::cli {
namespace {

class InitCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.operand("FILE", file_, "default: sandbox.toml; - is stdout").completes = Completes::files;
        arguments.flag("-f,--force", force_, "replace a file that is there");
    }

    Result<int> run(Context& context) override {
        std::filesystem::path file = file_.value_or("sandbox.toml");
        std::string text = manifest::starter_manifest(file == "-" ? "sandbox" : file.stem().string());
        if (file == "-") {
            VMETTE_CHECK_OK(context.console().write(text));
            return 0;
        }
        int flags = O_WRONLY | O_CREAT | (force_ ? O_TRUNC : O_EXCL);
        auto opened = open_file(file, flags, 0644);
        std::error_code ignored;
        if (!opened && !force_ && std::filesystem::exists(file, ignored))
            return fail(ErrorCode::io, "{} is there already; --force replaces it", file.string());
        if (!opened) return Failure(opened.error());
        VMETTE_CHECK_OK(write_all(opened->get(), text));
        std::string shown = harmless_line(shell_quote(file.string()));
        context.console().note(
            fmt::format("wrote {0}; check it with `vmette validate {0}`, then run it with `vmette up {0}`", shown));
        return 0;
    }

private:
    std::optional<std::string> file_;
    bool force_ = false;
};

}  // namespace

const Verb kInitVerb{
    .name = "init",
    .summary = "write a commented manifest to start from",
    .example = "vmette init hello.toml",
    .exit_codes = "0  written\n1  it cannot be written, or is there already\n2  wrong usage",
    .make = make_command<InitCommand>,
};

}  // namespace vmette::cli
