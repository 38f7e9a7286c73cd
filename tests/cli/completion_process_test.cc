#include <gmock/gmock.h>

#include "base/process.h"
#include "cli/verbs.h"
#include "cli/vmette_process.h"

namespace vmette::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

/// What bash offers for a command line whose last word is being typed.
std::string offered(const VmetteHome& home, const std::string& words) {
    auto result = home.shell("eval \"$($V completion bash)\"; COMP_WORDS=(" + words +
                             "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _vmette; echo \"${COMPREPLY[*]}\"");
    EXPECT_EQ(result.err, "");
    return result.out;
}

TEST(CompletionTest, BashScriptParsesAndCompletes) {
    VmetteHome home;
    EXPECT_EQ(home.shell("$V completion bash | bash -n").code, 0);
    EXPECT_EQ(offered(home, "vmette hist"), "history\n");
    EXPECT_EQ(offered(home, "vmette history sh"), "show\n");
    EXPECT_EQ(offered(home, "vmette history --js"), "--json --jsonl\n");
    EXPECT_EQ(offered(home, "vmette history show --j"), "--json\n");
    EXPECT_EQ(offered(home, "vmette history --status lo"), "lost\n");
    EXPECT_EQ(offered(home, "vmette image ''"), "pull ls inspect rm prune verify providers\n");
    EXPECT_EQ(offered(home, "vmette completion z"), "zsh\n");
    EXPECT_EQ(offered(home, "vmette he"), "help\n");
    EXPECT_EQ(offered(home, "vmette help his"), "history\n");
    EXPECT_EQ(offered(home, "vmette man u"), "up\n");
    home.write("a-manifest.toml", "");
    EXPECT_EQ(offered(home, "vmette up a-m"), "a-manifest.toml\n");
}

TEST(CompletionTest, BashCompletesAfterLeadingFlags) {
    VmetteHome home;
    EXPECT_EQ(offered(home, "vmette -q u"), "up\n");
    EXPECT_EQ(offered(home, "vmette --color never -v image p"), "pull prune providers\n");
    EXPECT_EQ(offered(home, "vmette --color = never history sh"), "show\n");
    EXPECT_EQ(offered(home, "vmette --color n"), "never\n");
    EXPECT_EQ(offered(home, "vmette --qu"), "--quiet\n");
}

TEST(CompletionTest, BashCompletesTheValueOfAFlag) {
    VmetteHome home;
    EXPECT_EQ(offered(home, "vmette history --sort ''"), "created duration peak_memory boot name exit_code\n");
    EXPECT_EQ(offered(home, "vmette history --sort = d"), "duration\n");
    EXPECT_EQ(offered(home, "vmette history --since ''"), "\n") << "no verb";
    home.write("a-folder", "");
    EXPECT_EQ(offered(home, "vmette run --share a-f"), "a-folder\n");
}

TEST(CompletionTest, FishCompletesAsBashDoes) {
    if (!find_program("fish")) GTEST_SKIP() << "fish is not installed";
    VmetteHome home;
    auto offers = [&](const std::string& line) {
        auto result = home.shell("$V completion fish > s; fish -c \"source s; complete -C '" + line + "'\" | cut -f 1");
        EXPECT_EQ(result.err, "");
        return result.out;
    };
    EXPECT_EQ(offers("vmette -q u"), "up\n");
    EXPECT_EQ(offers("vmette help his"), "history\n");
    EXPECT_EQ(offers("vmette history --sort du"), "duration\n");
    EXPECT_EQ(offers("vmette history --sort s"), "");
    EXPECT_EQ(offers("vmette history --since s"), "");
    EXPECT_EQ(offers("vmette history sh"), "show\n");
}

TEST(CompletionTest, ZshCompletesAsBashDoes) {
    if (!find_program("zsh")) GTEST_SKIP() << "zsh is not installed";
    VmetteHome home;
    // The functions that zsh has only while a line is edited say what they were given.
    auto offers = [&](const std::string& words) {
        auto result = home.shell(
            "$V completion zsh > s; zsh -f -c 'compdef() { :; }; _files() { echo FILES; }; _describe() { echo VERBS; "
            "}; "
            "compadd() { shift; echo $*; }; source ./s; words=(" +
            words + "); CURRENT=$#words; _vmette'");
        EXPECT_EQ(result.err, "");
        return result.out;
    };
    EXPECT_THAT(offers("vmette -q u"), HasSubstr("VERBS"));
    EXPECT_THAT(offers("vmette --color never image p"), HasSubstr("pull ls inspect rm prune verify providers\n"));
    EXPECT_THAT(offers("vmette man u"), HasSubstr("VERBS"));
    EXPECT_EQ(offers("vmette --color n"), "auto always never\n");
    EXPECT_EQ(offers("vmette -q history --sort d"), "created duration peak_memory boot name exit_code\n");
    EXPECT_EQ(offers("vmette history --since d"), "");
    EXPECT_THAT(offers("vmette history show --j"), HasSubstr("--json"));
}

TEST(CompletionTest, EveryVerbAndFlagIsInEveryScript) {
    VmetteHome home;
    for (const char* shell : {"bash", "zsh", "fish"}) {
        std::string script = home.run({"completion", shell}).out;
        for (const Verb* verb : all_verbs()) {
            EXPECT_THAT(script, HasSubstr(verb->name.substr(verb->name.rfind(' ') + 1))) << shell;
            auto command = verb->make();
            Arguments arguments;
            command->define(arguments);
            for (const auto& argument : arguments.all()) {
                if (argument.is_operand()) continue;
                std::string name = argument.spellings().back().substr(2);
                EXPECT_THAT(script, HasSubstr(name)) << shell << " " << verb->name;
            }
        }
    }
}

TEST(CompletionTest, ZshAndFishAcceptTheirScripts) {
    VmetteHome home;
    bool any = false;
    for (std::string shell : {"zsh", "fish"}) {
        if (!find_program(shell)) continue;
        any = true;
        auto result = home.shell("$V completion " + shell + " > s && " + shell + " -n s");
        EXPECT_EQ(result.code, 0) << result.err;
    }
    if (!any) GTEST_SKIP() << "neither zsh nor fish is installed";
}

TEST(CompletionTest, UnknownShellIsRefused) {
    VmetteHome home;
    auto result = home.run({"completion", "tcsh"});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("SHELL: 'tcsh' is none of bash, zsh, fish"));
}

TEST(ManTest, PagesHaveAllSections) {
    VmetteHome home;
    for (const Verb* verb : all_verbs()) {
        auto page = home.shell("$V man " + std::string(verb->name));
        EXPECT_EQ(page.code, 0);
        for (const char* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLE", "EXIT STATUS"})
            EXPECT_THAT(page.out, HasSubstr(std::string(".SH ") + section)) << verb->name;
    }
    EXPECT_THAT(home.run({"man"}).out, HasSubstr("\n.B VMETTE_STATE_DIR\n"));
    EXPECT_EQ(home.run({"man", "nothing"}).code, 2);
}

}  // namespace
}  // namespace vmette::cli
