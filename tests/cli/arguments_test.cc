#include "cli/arguments.h"

#include <gmock/gmock.h>

namespace vmette::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A verb with one of each kind.
struct Sample {
    std::vector<std::string> files, set, command;
    std::optional<std::string> color;
    std::optional<std::int64_t> limit;
    bool json = false, keep = true;
    int verbose = 0;
    Arguments arguments;

    Sample() {
        arguments.operands("FILE", files, "files").required = true;
        arguments.option("--set", "K=V", set, "set");
        arguments.option("--color", "WHEN", color, "colours").choices = {"auto", "never"};
        arguments.option("--limit", "N", limit, "limit");
        arguments.flag("--json", json, "json");
        arguments.flag("--keep,!--no-keep", keep, "keep");
        arguments.count("-v,--verbose", verbose, "verbose");
        arguments.command(command);
    }
    std::string error(const std::vector<std::string>& words) {
        auto parsed = arguments.parse(words);
        return parsed ? "" : parsed.error().message;
    }
};

TEST(ArgumentsTest, ListFlagTakesOneValueAndLeavesTheFile) {
    Sample sample;
    ASSERT_TRUE(sample.arguments.parse({"--set", "a=1", "x.toml", "--set", "b=2", "y.toml"}));
    EXPECT_THAT(sample.set, ElementsAre("a=1", "b=2"));
    EXPECT_THAT(sample.files, ElementsAre("x.toml", "y.toml"));
}

TEST(ArgumentsTest, ValuesArriveUnchanged) {
    Sample sample;
    const std::vector<std::string> values{
        "shares=[\"./a:/b\", \"c:/d\"]", "[x,y]", "a=\"q\" 'r'", "k=", "a,b", "{}", "%%"};
    std::vector<std::string> words{"x.toml"};
    for (const auto& value : values) {
        words.push_back("--set");
        words.push_back(value);
    }
    ASSERT_TRUE(sample.arguments.parse(words)) << sample.error(words);
    EXPECT_EQ(sample.set, values);
}

TEST(ArgumentsTest, EverythingAfterTheDashesIsTheCommand) {
    Sample sample;
    ASSERT_TRUE(sample.arguments.parse({"x.toml", "--", "sh", "--json", "--", "--help"}));
    EXPECT_THAT(sample.files, ElementsAre("x.toml"));
    EXPECT_THAT(sample.command, ElementsAre("sh", "--json", "--", "--help"));
    EXPECT_FALSE(sample.json);
}

TEST(ArgumentsTest, DashesWithoutACommandAreAnError) {
    EXPECT_EQ(Sample().error({"x.toml", "--"}), "a command is missing after `--`");
}

TEST(ArgumentsTest, DashesAreAnErrorForAVerbThatTakesNoCommand) {
    Arguments arguments;
    auto parsed = arguments.parse({"--", "true"});
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message, "no command is taken after `--`");
}

TEST(ArgumentsTest, UnknownFlagNamesTheNearest) {
    EXPECT_EQ(Sample().error({"x.toml", "--jsn"}), "unknown flag --jsn (did you mean --json?)");
    EXPECT_EQ(Sample().error({"x.toml", "--no-kep=1"}), "unknown flag --no-kep (did you mean --no-keep?)");
    EXPECT_EQ(Sample().error({"x.toml", "--zzzzzz"}), "unknown flag --zzzzzz");
}

TEST(ArgumentsTest, MissingOperandIsNamed) { EXPECT_EQ(Sample().error({"--json"}), "FILE is required"); }

TEST(ArgumentsTest, WrongNumberIsQuoted) {
    EXPECT_EQ(Sample().error({"x", "--limit", "3x"}), "--limit: '3x' is not a whole number");
    EXPECT_EQ(Sample().error({"x", "--limit", "99999999999999999999"}),
              "--limit: '99999999999999999999' is not a whole number");
    EXPECT_EQ(Sample().error({"x", "--limit="}), "--limit: '' is not a whole number");
}

TEST(ArgumentsTest, EmptyValueIsAValue) {
    Sample sample;
    ASSERT_TRUE(sample.arguments.parse({"--set=", "x.toml", "--set", ""}));
    EXPECT_THAT(sample.set, ElementsAre("", ""));
    EXPECT_THAT(sample.files, ElementsAre("x.toml"));
}

TEST(ArgumentsTest, ValueMayLookLikeAFlag) {
    Sample sample;
    ASSERT_TRUE(sample.arguments.parse({"x.toml", "--set", "--json", "--set=-v"}));
    EXPECT_THAT(sample.set, ElementsAre("--json", "-v"));
    EXPECT_FALSE(sample.json);
}

TEST(ArgumentsTest, MissingValueIsNamed) {
    EXPECT_EQ(Sample().error({"x.toml", "--limit"}), "--limit: a value is missing");
}

TEST(ArgumentsTest, ChoiceOutsideTheListNamesTheList) {
    EXPECT_EQ(Sample().error({"x", "--color", "red"}), "--color: 'red' is none of auto, never");
}

TEST(ArgumentsTest, EscapesInAnUnknownWordAreHarmless) {
    EXPECT_THAT(Sample().error({"x", "--\x1b[2J"}), testing::Not(testing::HasSubstr("\x1b")));
}

TEST(ArgumentsTest, OppositeOfASwitchTurnsItOff) {
    Sample sample;
    ASSERT_TRUE(sample.arguments.parse({"x", "--no-keep", "-vv"}));
    EXPECT_FALSE(sample.keep);
    EXPECT_EQ(sample.verbose, 2);
    EXPECT_THAT(sample.command, IsEmpty());
}

TEST(ArgumentsTest, HelpWinsOverWhatIsMissing) {
    Sample sample;
    auto parsed = sample.arguments.parse({"-h"});
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, Arguments::Parsed::help);
}

TEST(ArgumentsTest, UnexpectedWordSaysWhereACommandGoes) {
    Arguments arguments;
    std::optional<std::string> source;
    std::vector<std::string> command;
    arguments.operand("SOURCE", source, "source").required = true;
    arguments.command(command);
    auto parsed = arguments.parse({"./root", "true"});
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message, "unexpected argument 'true' (a command is written after `--`)");
}

TEST(ArgumentsTest, HabitOfAnotherProgramIsRefusedWithWhatToWrite) {
    Sample sample;
    sample.arguments.habit("--rm", "leave it out");
    sample.arguments.habit("-v", "it is --verbose", true);
    EXPECT_EQ(sample.error({"--rm", "x"}), "there is no flag --rm: leave it out");
    EXPECT_EQ(sample.error({"--rm=true", "x"}), "there is no flag --rm: leave it out");
    EXPECT_EQ(sample.error({"-v", "/a:/b", "x"}), "-v: it is --verbose");
    EXPECT_EQ(sample.error({"-v", "oci://a:1/b"}), "");
    EXPECT_EQ(sample.error({"-v", "x"}), "");
    EXPECT_EQ(sample.error({"x", "--set", "--rm"}), "") << "a flag's value is none";
    EXPECT_EQ(sample.error({"x", "--", "--rm", "-v", "/a:/b"}), "") << "the command's flags are its own";
}

}  // namespace
}  // namespace vmette::cli
