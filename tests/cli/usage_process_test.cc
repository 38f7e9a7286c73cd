#include <gmock/gmock.h>

#include "cli/verbs.h"
#include "cli/vmette_process.h"

namespace vmette::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> words_of(std::string_view name) {
    auto space = name.find(' ');
    if (space == name.npos) return {std::string(name)};
    return {std::string(name.substr(0, space)), std::string(name.substr(space + 1))};
}

TEST(UsageTest, HelpOfEveryVerbEndsWithExampleAndExitCodes) {
    VmetteHome home;
    for (const Verb* verb : all_verbs()) {
        auto words = words_of(verb->name);
        words.emplace_back("--help");
        auto help = home.run(words);
        EXPECT_EQ(help.code, 0) << verb->name;
        EXPECT_EQ(help.err, "") << verb->name;
        EXPECT_THAT(help.out, StartsWith("vmette " + std::string(verb->name) + ": "));
        auto example = help.out.find("\nexample:\n  vmette " + std::string(verb->name));
        auto codes = help.out.find("\nexit codes:\n  0");
        EXPECT_NE(example, std::string::npos) << help.out;
        EXPECT_NE(codes, std::string::npos) << help.out;
        EXPECT_LT(example, codes);
    }
    EXPECT_FALSE(std::filesystem::exists(home.layout().state)) << "help must make nothing";
}

TEST(UsageTest, HelpFitsAScreen) {
    VmetteHome home;
    for (const Verb* verb : all_verbs()) {
        auto words = words_of(verb->name);
        words.emplace_back("--help");
        std::string text = home.run(words).out;
        for (std::size_t start = 0; start < text.size();) {
            auto end = text.find('\n', start);
            EXPECT_LE(end - start, 120u) << text.substr(start, end - start);
            start = end + 1;
        }
    }
}

TEST(UsageTest, OverviewNamesEveryVerb) {
    VmetteHome home;
    auto help = home.run({"--help"});
    EXPECT_EQ(help.code, 0);
    for (const Verb* verb : all_verbs()) {
        EXPECT_THAT(help.out, HasSubstr("\n  " + std::string(verb->name) + " "));
    }
    auto nothing = home.run({});
    EXPECT_EQ(nothing.code, 2);
    EXPECT_EQ(nothing.out, "");
    EXPECT_EQ(nothing.err, help.out);
    EXPECT_EQ(home.run({"help"}).out, help.out);
    EXPECT_EQ(home.run({"help", "up"}).out, home.run({"up", "--help"}).out);
    EXPECT_EQ(home.run({"help", "history", "show"}).out, home.run({"history", "show", "--help"}).out);
    EXPECT_EQ(home.run({"help", "image"}).out, home.run({"image", "--help"}).out);
    EXPECT_EQ(home.run({"help", "nothing"}).code, 2);
}

TEST(UsageTest, HelpOfAGroupListsItsVerbs) {
    VmetteHome home;
    auto image = home.run({"image", "--help"});
    EXPECT_EQ(image.code, 0);
    EXPECT_EQ(image.err, "");
    EXPECT_EQ(image.out,
              "usage: vmette image VERB [flags] ...\n\nverbs:\n"
              "  image pull                  fetch images into the cache\n"
              "  image ls                    list the images in the cache\n"
              "  image inspect               show one image: its sources, what it runs, and who used it\n"
              "  image rm                    remove images from the cache\n"
              "  image prune                 remove images by age and size, and what crashes left\n"
              "  image verify                read images and compare them with their digests\n"
              "  image providers             list what a rootfs source may be\n"
              "\n`vmette image VERB --help` shows one in full.\n");
    EXPECT_EQ(home.run({"-q", "image", "-h"}).out, image.out);
    EXPECT_EQ(home.run({"image"}).code, 2);
    EXPECT_THAT(home.run({"history", "--help"}).out,
                HasSubstr("\n  history show                show one run in full\n"
                          "  history logs                print what a run wrote\n"));
}

TEST(UsageTest, UnknownVerbNamesTheNearest) {
    VmetteHome home;
    auto typo = home.run({"histroy"});
    EXPECT_EQ(typo.code, 2);
    EXPECT_EQ(typo.out, "");
    EXPECT_EQ(typo.err,
              "vmette: error: unknown verb 'histroy' (did you mean history?)\n"
              "vmette: `vmette --help` lists the verbs\n");
    EXPECT_EQ(home.run({"history", "shwo"}).err,
              "vmette: error: unknown verb 'history shwo' (did you mean show?)\n"
              "vmette: `vmette history --help` lists the verbs\n");
    EXPECT_THAT(home.run({""}).err, StartsWith("vmette: error: unknown verb ''\n"));
    EXPECT_THAT(home.run({"\x1b[2J"}).err, StartsWith("vmette: error: unknown verb '\\x1b[2J'\n"));
}

TEST(UsageTest, UnknownFlagNamesTheNearest) {
    VmetteHome home;
    auto typo = home.run({"history", "--jsn"});
    EXPECT_EQ(typo.code, 2);
    EXPECT_EQ(typo.err,
              "vmette: error: vmette history: unknown flag --jsn (did you mean --json?)\n"
              "vmette: `vmette history --help` shows how it is used\n");
}

TEST(UsageTest, MissingOperandIsNamed) {
    VmetteHome home;
    auto missing = home.run({"up"});
    EXPECT_EQ(missing.code, 2);
    EXPECT_THAT(missing.err, StartsWith("vmette: error: vmette up: FILE is required\n"));
    EXPECT_THAT(home.run({"run"}).err, StartsWith("vmette: error: vmette run: SOURCE is required\n"));
    EXPECT_THAT(home.run({"image"}).err,
                StartsWith("vmette: error: vmette image needs one of: pull, ls, inspect, rm, prune, "));
}

TEST(UsageTest, VerbsThatAreNotThereYetSaySo) {
    VmetteHome home;
    for (std::string_view name : unavailable_verbs()) {
        auto words = words_of(name);
        words.emplace_back("some-id");
        auto refused = home.run(words);
        EXPECT_EQ(refused.code, 2) << name;
        EXPECT_EQ(refused.out, "");
        EXPECT_EQ(refused.err, "vmette: error: vmette " + std::string(name) + " is not available yet\n");
    }
    EXPECT_EQ(home.run({"snapshot"}).err, "vmette: error: vmette snapshot is not available yet\n");
}

TEST(UsageTest, FlagsMayStandBeforeTheVerb) {
    VmetteHome home;
    EXPECT_EQ(home.run({"--color", "never", "-q", "version"}).out, home.run({"version"}).out);
    EXPECT_EQ(home.run({"--version"}).out, home.run({"version"}).out);
    EXPECT_EQ(home.run({"-V"}).out, home.run({"version"}).out);
    auto lonely = home.run({"--color", "never"});
    EXPECT_EQ(lonely.code, 2);
    EXPECT_THAT(lonely.err, StartsWith("vmette: error: a verb is missing"));
}

TEST(UsageTest, UnknownLogLevelIsWarnedOf) {
    VmetteHome home;
    home.set_environment("VMETTE_LOG", "bo\x1bgus");
    auto warned = home.run({"version"});
    EXPECT_EQ(warned.code, 0);
    EXPECT_EQ(warned.err, "vmette: warning: VMETTE_LOG=bo\\x1bgus: it takes off, warn, info or debug\n");
    auto once = home.run({"help", "version"});
    EXPECT_EQ(once.err, warned.err);
    for (const char* level : {"off", "warn", "info", "debug", ""}) {
        VmetteHome other;
        other.set_environment("VMETTE_LOG", level);
        EXPECT_EQ(other.run({"version"}).err, "") << level;
    }
}

TEST(UsageTest, CheapVerbsTouchNoDisk) {
    VmetteHome home;
    home.run({"version"});
    home.run({"schema"});
    home.run({"completion", "bash"});
    home.run({"image", "providers"});
    EXPECT_FALSE(std::filesystem::exists(home.layout().state));
    EXPECT_FALSE(std::filesystem::exists(home.layout().cache));
}

TEST(UsageTest, HabitsOfOtherProgramsGetOurNames) {
    VmetteHome home;
    struct {
        std::vector<std::string> words;
        std::string hint;
    } const cases[] = {
        {{"run", "-v", "/a:/b", "alpine"}, "a folder is shared by --share HOST:GUEST[:ro|rw|overlay]"},
        {{"run", "--volume", "/a:/b", "alpine"}, "a folder is shared by --share HOST:GUEST[:ro|rw|overlay]"},
        {{"run", "--rm", "-it", "alpine", "sh"}, "there is no flag --rm: leave it out"},
        {{"run", "--entrypoint", "", "alpine"}, "takes the place of the image's ENTRYPOINT and CMD both"},
        {{"run", "alpine", "ls"}, "a command is written after `--`"},
        {{"run", "docker://alpine:3"}, "here it is written without docker://: alpine:3"},
        {{"run", "oci:some/dir"}, "a layout in a folder is written oci-layout:some/dir"},
        {{"run", "containers-storage:alpine"}, "oci-archive:FILE takes"},
        {{"image", "pull", "docker://alpine:3"}, "here it is written without docker://: alpine:3"},
        {{"pull", "alpine"}, "unknown verb 'pull'; here it is `vmette image pull`"},
        {{"images"}, "unknown verb 'images'; here it is `vmette image ls`"},
        {{"image", "remove", "x"}, "unknown verb 'image remove'; here it is `vmette image rm`"},
    };
    for (const auto& habit : cases) {
        auto refused = home.run(habit.words);
        EXPECT_EQ(refused.code, 2) << habit.hint;
        EXPECT_EQ(refused.out, "");
        EXPECT_THAT(refused.err, HasSubstr(habit.hint));
    }
    EXPECT_EQ(home.run({"run", "-it", "oci://alpine", "--print-manifest"}).code, 0);
}

}  // namespace
}  // namespace vmette::cli
