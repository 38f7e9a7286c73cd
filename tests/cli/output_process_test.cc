#include <gmock/gmock.h>

#include "cli/vmette_process.h"

namespace vmette::cli {
namespace {

TEST(OutputTest, ReaderThatClosesEarlyEndsItQuietly) {
    VmetteHome home;
    auto result = home.shell("set -o pipefail; for i in 1 2 3 4 5 6 7 8; do $V schema | true || exit 9; done");
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.err, "");
}

TEST(OutputTest, FullDiskIsAnError) {
    VmetteHome home;
    auto result = home.shell("$V version >/dev/full");
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err, "vmette: error: write to standard output: No space left on device\n");
}

TEST(OutputTest, ClosedStdoutIsAnErrorAndIsNotWrittenToByChance) {
    VmetteHome home;
    auto result = home.shell("$V history --json >&-");
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err, "vmette: error: write to standard output: Bad file descriptor\n");
    EXPECT_EQ(home.run({"history", "--json"}).out, "[]\n") << "the database is whole";
}

TEST(OutputTest, ClosedStderrAndStdinDoNoHarm) {
    VmetteHome home;
    auto result = home.shell("$V version <&- 2>&-");
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.out, home.run({"version"}).out);
}

TEST(OutputTest, ColoursFollowTerminalVariableAndFlag) {
    VmetteHome home;
    const std::string escape = "\x1b[";
    EXPECT_THAT(home.run_on_terminal({"image", "providers"}).out, testing::HasSubstr(escape));
    EXPECT_THAT(home.run({"image", "providers"}).out, testing::Not(testing::HasSubstr(escape)));
    EXPECT_THAT(home.run({"--color=always", "image", "providers"}).out, testing::HasSubstr(escape));
    EXPECT_THAT(home.run_on_terminal({"--color=never", "image", "providers"}).out,
                testing::Not(testing::HasSubstr(escape)));
    home.set_environment("NO_COLOR", "1");
    EXPECT_THAT(home.run_on_terminal({"image", "providers"}).out, testing::Not(testing::HasSubstr(escape)));
    EXPECT_THAT(home.run_on_terminal({"--color=always", "image", "providers"}).out, testing::HasSubstr(escape));
}

}  // namespace
}  // namespace vmette::cli
