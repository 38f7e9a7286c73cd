#include <chrono>

#include <gtest/gtest.h>

#include "manifest/load_helpers.h"
#include "manifest/scan.h"

namespace vmette::manifest {
namespace {

using testing::errors_of;
using testing::load_request;
using testing::request_of;

std::string repeated(std::string_view part, std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += part;
    return out;
}

TEST(HostileTest, NulBytesRawAndEscapedAreRefused) {
    EXPECT_EQ(errors_of(std::string("name = \"a\0b\"\n", 13)),
              "agent.toml:2:10: error: a NUL byte\n    name = \"a�b\"\n             ^\n");
    EXPECT_EQ(errors_of("[env]\nA = \"x\\u0000\"\n[metadata]\n\"k\\u0000\" = [\"\\U00000000\"]\n"),
              "agent.toml:3:5: error: a NUL byte in a string\n"
              "    A = \"x\\u0000\"\n"
              "        ^\n"
              "\n"
              "agent.toml:5:1: error: a NUL byte in a key\n"
              "    \"k\\u0000\" = [\"\\U00000000\"]\n"
              "    ^\n"
              "\n"
              "agent.toml:5:14: error: a NUL byte in a string\n"
              "    \"k\\u0000\" = [\"\\U00000000\"]\n"
              "                 ^\n");
    EXPECT_EQ(errors_of("", {"env.A=\"\\u0000\""}), "--set env.A=\"\\u0000\": error: a NUL byte in a string\n");
}

TEST(HostileTest, BytesThatAreNotUtf8AreShownWhereTheyStand) {
    EXPECT_EQ(errors_of("name = \"ä\xff\"\n"),
              "agent.toml:2:10: error: a byte that is not valid UTF-8\n    name = \"ä�\"\n             ^\n");
}

TEST(HostileTest, DeepNestingNeverReachesTheParser) {
    EXPECT_EQ(errors_of("metadata = " + repeated("[", 10'000) + repeated("]", 10'000) + "\n"),
              "agent.toml:2:76: error: nested more than 64 levels deep\n"
              "    metadata = " +
                  repeated("[", 89) + "…\n" + repeated(" ", 79) + "^\n");
    for (const std::string& text :
         {repeated("{a=", 10'000), repeated("a=[{", 5'000), "[metadata]\nx = " + repeated("{ a.b.c = ", 5'000)})
        EXPECT_NE(errors_of(text).find("nested more than 64 levels deep"), std::string::npos);
    for (const std::string& text : {repeated("a.", 100'000) + "a = 1\n", "[" + repeated("a.", 100'000) + "a]\n"})
        EXPECT_NE(errors_of(text).find("a dotted key with more than 33 parts"), std::string::npos);
    std::string flag = errors_of("", {repeated("a.", 100'000) + "a=1"});
    EXPECT_NE(flag.find("error: \"a.a.a"), std::string::npos);
    EXPECT_LT(flag.size(), 1000U);
    // 33 parts a key and 64 brackets would still make a tree of 2,000 levels.
    std::string chain = "[metadata]\n" + repeated("a.", 30) +
                        "a = " + repeated("{ " + repeated("a.", 30) + "a = ", 40) + "1" + repeated(" }", 40) + "\n";
    EXPECT_NE(errors_of(chain).find("nested more than 64 levels deep"), std::string::npos);
}

TEST(HostileTest, BracketsAndDotsInStringsAndCommentsDoNotCount) {
    std::string many = repeated("[{.", 500);
    std::string text = "# " + many + "\nexec = \"" + many + "\\\" [\"\n[env]\nA = '" + many + "'\nB = \"\"\"\n" + many +
                       "\n\\\"\"\"\"\"\"\nC = '''\n" + many + "'''''\n";
    auto loaded = testing::load_text(text);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.env[1].second, many + "\n\"\"\"");
    EXPECT_EQ(loaded.sandbox.env[2].second, many + "''");
}

TEST(HostileTest, AFileOfMoreThanAMebibyteIsRefusedUnread) {
    EXPECT_EQ(load_request(request_of(std::string(kMaxManifestBytes + 1, '['))).error,
              "agent.toml: error: larger than 1048576 bytes, which is more than a manifest may have\n");
    EXPECT_EQ(errors_of(std::string(kMaxManifestBytes - testing::kRoot.size() - 1, ' ')), "");
}

TEST(HostileTest, LargeFilesOfEveryShapeCostLittle) {
    auto start = std::chrono::steady_clock::now();
    for (std::string_view part : {"[[shares]]\n", "a", "\"", "'''", "[a]\n", "[[a]]\n", "a=1\n", "${A}", "#", "\r\n",
                                  "\\", "a={},", "\xEF\xBB\xBF", "0.", "[env]"}) {
        LoadRequest request = request_of(std::string(testing::kRoot) + repeated(part, 900'000 / part.size()));
        auto result = load(request);
        if (!result) {
            EXPECT_LE(result.error().size(), 101U);
        }
    }
    std::string names = "[env]\n";
    for (int i = 0; names.size() < 900'000; ++i) names += fmt::format("V{} = \"{}\"\n", i, i);
    LoadRequest request = request_of(std::string(testing::kRoot) + names);
    request.sources.push_back({.name = "b", .folder = "/b", .text = names});
    EXPECT_NE(load_request(request).error.find("env has "), std::string::npos);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST(HostileTest, ListsAreBounded) {
    EXPECT_NE(errors_of("shares = [" + repeated("\"a:/a\",", 65) + "]\n")
                  .find("shares has 65 entries; at most 64 are allowed"),
              std::string::npos);
}

TEST(HostileTest, MessagesDoNotRepeatMegabytes) {
    std::string error =
        errors_of("user = \"" + std::string(500'000, ' ') + "\"\n" + std::string(300'000, 'k') + " = 1\n");
    EXPECT_LT(error.size(), 2000U);
    EXPECT_NE(error.find("unknown key"), std::string::npos);
}

}  // namespace
}  // namespace vmette::manifest
