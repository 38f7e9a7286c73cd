#include "manifest/diagnostics.h"

#include <gtest/gtest.h>

#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

using testing::errors_of;
using testing::load_request;
using testing::request_of;

TEST(DiagnosticsTest, UnknownKeyNamesTheNearest) {
    EXPECT_EQ(errors_of("[limits]\nmemroy = \"1G\"\n"),
              "agent.toml:3:1: error: unknown key \"memroy\" in [limits]; did you mean \"memory\"?\n"
              "    memroy = \"1G\"\n"
              "    ^\n");
}

TEST(DiagnosticsTest, UnknownKeyThatBelongsElsewhereNamesThatPlace) {
    EXPECT_EQ(errors_of("memory = \"1G\"\n"),
              "agent.toml:2:1: error: unknown key \"memory\"; did you mean \"limits.memory\"?\n"
              "    memory = \"1G\"\n"
              "    ^\n");
}

TEST(DiagnosticsTest, UnknownTableAndKeysFarFromAnyName) {
    EXPECT_EQ(errors_of("[limit]\nvcpus = 1\n[[desktop]]\nwidth = 1\n"),
              "agent.toml:2:2: error: unknown key \"limit\"; did you mean \"limits\"?\n"
              "    [limit]\n"
              "     ^\n"
              "\n"
              "agent.toml:4:3: error: unknown key \"desktop\"\n"
              "    [[desktop]]\n"
              "      ^\n");
}

TEST(DiagnosticsTest, WrongTypeSaysWhatWasExpected) {
    EXPECT_EQ(errors_of("[limits]\nmemory = true\n"),
              "agent.toml:3:10: error: limits.memory must be a size such as \"8G\", or a whole number of MiB, not a "
              "boolean\n"
              "    memory = true\n"
              "             ^\n");
}

TEST(DiagnosticsTest, BadSize) {
    EXPECT_EQ(errors_of("[limits]\nmemory = \"12Q\"\n"),
              "agent.toml:3:10: error: limits.memory: \"12Q\" is not a size: a whole number with K, M, G or T, or a "
              "bare number of MiB\n"
              "    memory = \"12Q\"\n"
              "             ^\n");
}

TEST(DiagnosticsTest, SeveralErrorsComeAtOnceInTheOrderOfTheFile) {
    EXPECT_EQ(errors_of("tty = 1\nuser = \"a b\"\n[limits]\nvcpus = 33\n[rootfs2]\n[net]\nmode = \"natt\"\n",
                        {"limits.pids=0", "nonsense"}),
              "--set nonsense: error: expected KEY=VALUE, such as limits.timeout=2s\n");
    EXPECT_EQ(errors_of("tty = 1\nuser = \"a b\"\n[limits]\nvcpus = 33\n[net]\nmode = \"natt\"\n", {"limits.pids=0"}),
              "agent.toml:2:7: error: tty must be true or false, not an integer\n"
              "    tty = 1\n"
              "          ^\n"
              "\n"
              "agent.toml:3:8: error: user must be a user's name, or uid[:gid], not \"a b\"\n"
              "    user = \"a b\"\n"
              "           ^\n"
              "\n"
              "agent.toml:5:9: error: limits.vcpus must be a whole number from 1 to 32, not 33\n"
              "    vcpus = 33\n"
              "            ^\n"
              "\n"
              "agent.toml:7:8: error: net.mode must be one of \"none\", \"allowlist\", \"nat\", not \"natt\"; did you "
              "mean \"nat\"?\n"
              "    mode = \"natt\"\n"
              "           ^\n"
              "\n"
              "--set limits.pids=0: error: limits.pids must be a whole number from 1 to 4194304, not 0\n");
}

TEST(DiagnosticsTest, CaretStandsUnderTheColumnAfterTabsAndWideText) {
    EXPECT_EQ(errors_of("\tshares = [ \"grüße\", \"日本\" ]\n"),
              "agent.toml:2:13: error: shares[0] must be HOST:GUEST[:ro|rw|overlay], not \"grüße\"\n"
              "     shares = [ \"grüße\", \"日本\" ]\n"
              "                ^\n"
              "\n"
              "agent.toml:2:22: error: shares[1] must be HOST:GUEST[:ro|rw|overlay], not \"日本\"\n"
              "     shares = [ \"grüße\", \"日本\" ]\n"
              "                         ^\n");
    EXPECT_EQ(errors_of("exec = [\"日本\", 1]\n"),
              "agent.toml:2:15: error: exec[1] must be a string, not an integer\n"
              "    exec = [\"日本\", 1]\n"
              "                    ^\n");
}

TEST(DiagnosticsTest, SyntaxErrorShowsItsPlace) {
    EXPECT_EQ(errors_of("[limits\nvcpus = 1\n"),
              "agent.toml:2:8: error: not valid TOML: table header: expected ']', saw '\\n'\n"
              "    [limits\n"
              "           ^\n");
    EXPECT_EQ(errors_of("tty = true\ntty = false\n"),
              "agent.toml:3:7: error: not valid TOML: key-value pair: cannot redefine existing boolean 'tty'\n"
              "    tty = false\n"
              "          ^\n");
}

TEST(DiagnosticsTest, StringWithoutItsClosingQuoteIsToldFromAControlCharacter) {
    EXPECT_EQ(errors_of("user = \"a\ntty = true\n"),
              "agent.toml:2:10: error: not valid TOML: the string is not closed\n"
              "    user = \"a\n"
              "             ^\n");
    for (const char* text : {"user = 'grüße\n", "user = \"a\r\ntty = true\r\n", "user = \"a", "exec = [\"a\n\"]\n",
                             "env.\"a\n = \"b\"\n", "exec = \"\"\"a\nb\n"})
        EXPECT_NE(errors_of(text).find("not valid TOML: the string is not closed\n"), std::string::npos)
            << errors_of(text);
    EXPECT_NE(errors_of("user = \"a\x01z\"\n").find("unescaped control characters"), std::string::npos);
}

TEST(DiagnosticsTest, EveryFileThatDoesNotParseIsNamed) {
    LoadRequest request = request_of("x =\n");
    request.sources.push_back({.name = "b.toml", .folder = "/b", .text = "[\n"});
    std::string error = load_request(request).error;
    EXPECT_NE(error.find("agent.toml:1:4: error: not valid TOML"), std::string::npos) << error;
    EXPECT_NE(error.find("b.toml:1:2: error: not valid TOML"), std::string::npos) << error;
}

TEST(DiagnosticsTest, CarriageReturnsAreNoPartOfTheLine) {
    EXPECT_EQ(errors_of("[limits]\r\nvcpu = 1\r\n"),
              "agent.toml:3:1: error: unknown key \"vcpu\" in [limits]; did you mean \"vcpus\"?\n"
              "    vcpu = 1\n"
              "    ^\n");
    EXPECT_EQ(testing::load_text("[limits]\r\nvcpus = 3\r\n").sandbox.limits.vcpus, 3U);
}

TEST(DiagnosticsTest, ByteOrderMarkIsNoColumn) {
    EXPECT_EQ(load_request(request_of("\xEF\xBB\xBFnme = 1\nrootfs = \"x\"\n")).error,
              "agent.toml:1:1: error: unknown key \"nme\"; did you mean \"name\"?\n"
              "    nme = 1\n"
              "    ^\n");
}

TEST(DiagnosticsTest, MissingRootfsAndNameHaveNoLine) {
    LoadRequest request = request_of("tty = true\n");
    request.sources[0].name = "---.toml";
    EXPECT_EQ(load_request(request).error,
              "---.toml: error: name is missing, and the file's name makes none\n"
              "\n"
              "---.toml: error: rootfs is missing: the root filesystem to run on, such as rootfs = \"./rootfs\"\n");
    EXPECT_NE(load_request(LoadRequest{}).error, "");
}

TEST(DiagnosticsTest, NothingInAFileCanMoveTheCursor) {
    EXPECT_EQ(errors_of("\"a\\u001b[2Jb\" = 1 # \xE2\x80\xAE \xC2\x9B\n"),
              "agent.toml:2:1: error: unknown key \"a\\x1b[2Jb\"\n"
              "    \"a\\u001b[2Jb\" = 1 # � �\n"
              "    ^\n");
    LoadRequest request = request_of("a = 1\n");
    request.sources[0].name = "evil\x1b[2J.toml";
    EXPECT_EQ(load_request(request).error.find('\x1b'), std::string::npos);
}

TEST(DiagnosticsTest, LongLinesAreCutAroundTheCaret) {
    Excerpt shown = excerpt(std::string(500, 'a') + "X" + std::string(500, 'b'), 501);
    EXPECT_EQ(shown.line, "…" + std::string(59, 'a') + "X" + std::string(40, 'b') + "…");
    EXPECT_EQ(shown.caret, 60U);
    EXPECT_EQ(excerpt(std::string(300, 'a'), 3).line, std::string(100, 'a') + "…");
    EXPECT_EQ(excerpt("ab", 99).caret, 1U);
}

TEST(DiagnosticsTest, AtMostAHundredAreShownAndTheRestIsCounted) {
    std::string text(testing::kRoot);
    for (int i = 0; i < 250; ++i) text += fmt::format("unheard_of_{} = 1\n", i);
    auto result = load(request_of(text));
    ASSERT_FALSE(result);
    ASSERT_EQ(result.error().size(), kMaxDiagnostics + 1);
    EXPECT_EQ(render({result.error().back()}), "error: 150 more are not shown\n");
    EXPECT_EQ(result.error()[99].line, 101U);
}

TEST(DiagnosticsTest, ABatchManifestIsTold) {
    EXPECT_EQ(load_request(request_of("sandbox = \"a.toml\"\n[[job]]\nname = \"x\"\n")).error,
              "agent.toml:1:1: error: \"sandbox\" belongs to a batch manifest; this command takes a sandbox's\n"
              "    sandbox = \"a.toml\"\n"
              "    ^\n");
}

}  // namespace
}  // namespace vmette::manifest
