/// vmette completion, vmette man and vmette help: what is generated from the verbs' definitions.

#include <algorithm>

#include "base/text.h"
#include "cli/completion.h"
#include "cli/dispatch.h"
#include "cli/man.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

class CompletionCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        auto& shell = arguments.operand("SHELL", shell_, "bash, zsh or fish");
        shell.required = true;
        shell.choices = {"bash", "zsh", "fish"};
    }

    Result<int> run(Context& context) override {
        std::string script = *shell_ == "bash"  ? bash_completion()
                             : *shell_ == "zsh" ? zsh_completion()
                                                : fish_completion();
        VMETTE_CHECK_OK(context.console().write(script));
        return 0;
    }

private:
    std::optional<std::string> shell_;
};

class ManCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.operands("VERB", words_, "the verb; none: the overview").completes = Completes::verbs;
    }

    Result<int> run(Context& context) override {
        std::string name = fmt::format("{}", fmt::join(words_, " "));
        auto verbs = all_verbs();
        auto found = std::find_if(verbs.begin(), verbs.end(), [&](const Verb* verb) { return verb->name == name; });
        if (!name.empty() && found == verbs.end())
            return fail(ErrorCode::bad_input, "there is no verb '{}'", harmless_line(name));
        VMETTE_CHECK_OK(context.console().write(name.empty() ? man_overview() : man_page(**found)));
        return 0;
    }

private:
    std::vector<std::string> words_;
};

/// `vmette help up` is `vmette up --help`.
class HelpCommand final : public Command {
public:
    void define(Arguments& arguments) override {
        arguments.operands("VERB", words_, "the verb, or the first word of several; none: the overview").completes =
            Completes::verbs;
    }

    Result<int> run(Context& context) override {
        auto words = words_;
        words.emplace_back("--help");
        return run_cli(words, context.console(), context.clock());
    }

private:
    std::vector<std::string> words_;
};

}  // namespace

const Verb kCompletionVerb{
    .name = "completion",
    .summary = "print a completion script for bash, zsh or fish",
    .example = "vmette completion bash > ~/.local/share/bash-completion/completions/vmette",
    .exit_codes = "0  printed\n2  wrong usage",
    .make = make_command<CompletionCommand>,
};

const Verb kManVerb{
    .name = "man",
    .summary = "print a manual page in troff",
    .example = "vmette man up | man -l -",
    .exit_codes = "0  printed\n2  wrong usage",
    .make = make_command<ManCommand>,
};

const Verb kHelpVerb{
    .name = "help",
    .summary = "show how a verb is used",
    .example = "vmette help history show",
    .exit_codes = "0  printed\n2  wrong usage",
    .make = make_command<HelpCommand>,
};

}  // namespace vmette::cli
