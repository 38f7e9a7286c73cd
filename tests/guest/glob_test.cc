#include "guest/glob.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "guest/artifacts.h"

namespace vmette::wire {
namespace {

bool matches(std::string_view pattern, std::string_view path) { return PathGlob(pattern).matches(path); }

TEST(PathGlobTest, PartsMatchAsAShellsDo) {
    EXPECT_TRUE(matches("/out/*.json", "/out/a.json"));
    EXPECT_TRUE(matches("/out/*.json", "out/.json"));
    EXPECT_FALSE(matches("/out/*.json", "/out/a.jsonx"));
    EXPECT_FALSE(matches("/out/*.json", "/out/sub/a.json"));
    EXPECT_TRUE(matches("/out/?.[a-c]", "/out/x.b"));
    EXPECT_FALSE(matches("/out/?.[!a-c]", "/out/x.b"));
    EXPECT_TRUE(matches("/out/[]]", "/out/]"));
    EXPECT_TRUE(matches("/out/[", "/out/["));
    EXPECT_TRUE(matches("/out/\\*", "/out/*"));
    EXPECT_FALSE(matches("/out/\\*", "/out/x"));
    EXPECT_TRUE(matches("/out/?", "/out/ä"));
    EXPECT_TRUE(matches("/out/[à-é]", "/out/ä"));
}

TEST(PathGlobTest, TwoStarsStandForAnyNumberOfParts) {
    EXPECT_TRUE(matches("/out/**/*.json", "/out/a.json"));
    EXPECT_TRUE(matches("/out/**/*.json", "/out/a/b/c.json"));
    EXPECT_FALSE(matches("/out/**/*.json", "/other/a.json"));
    EXPECT_TRUE(matches("/**", "/any/thing"));
    EXPECT_TRUE(matches("/**/**/x", "/x"));
    EXPECT_FALSE(matches("/out/a**", "/out/a/b"));  // within a part they are one star
}

TEST(PathGlobTest, FolderThatIsSpeltOutIsTakenWhole) {
    EXPECT_TRUE(matches("/out", "/out/a/b"));
    EXPECT_TRUE(matches("/*/logs", "/run/logs/deep/x"));
    EXPECT_FALSE(matches("/out/*", "/out/a/b"));
    EXPECT_FALSE(matches("/out", "/output"));
}

TEST(PathGlobTest, NothingIsMatchedByNothingOrTooMuch) {
    EXPECT_FALSE(matches("", "/x"));
    EXPECT_FALSE(matches("/", "/x"));
    std::string most, path;
    for (std::size_t i = 0; i < PathGlob::kMaxParts; ++i) most += "/*", path += "/x";
    EXPECT_TRUE(matches(most, path));
    EXPECT_FALSE(matches(most + "/*", path + "/x"));
}

TEST(PathGlobTest, NoPatternIsSlow) {
    std::string stars, many, text(255, 'a');
    for (int i = 0; i < 80; ++i) stars += "*a";
    for (int i = 0; i < 16; ++i) many += "/**/*a*";
    std::string deep;
    for (int i = 0; i < 64; ++i) deep += "/aaaaaaaaaaaab";
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(matches("/" + stars + "b", "/" + text));
        EXPECT_FALSE(matches(many + "/c", deep));
    }
    // Exponential would be longer than anybody waits; this is a hundred times what it takes.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

/// What a pattern without sets and escapes means, by plain recursion.
bool plainly(std::string_view pattern, std::string_view name) {
    if (pattern.empty()) return name.empty();
    if (pattern[0] == '*')
        return plainly(pattern.substr(1), name) || (!name.empty() && plainly(pattern, name.substr(1)));
    return !name.empty() && (pattern[0] == '?' || pattern[0] == name[0]) && plainly(pattern.substr(1), name.substr(1));
}

TEST(PathGlobTest, AgreesWithPlainRecursion) {
    std::mt19937 random(7);
    auto text = [&](std::string_view letters, std::size_t most) {
        std::string out;
        for (auto n = random() % (most + 1); n > 0; --n) out += letters[random() % letters.size()];
        return out;
    };
    for (int i = 0; i < 20'000; ++i) {
        auto pattern = "x" + text("ab*?", 7), name = "x" + text("ab", 8);
        EXPECT_EQ(matches("/" + pattern, "/" + name), plainly(pattern, name)) << pattern << " " << name;
    }
}

TEST(ArtifactPathTest, OnlyPlainPrintablePathsAreAllowed) {
    EXPECT_EQ(artifact_path_problem("out/a b/ü.json"), "");
    for (const char* path : {"", "/out", "out/", "a//b", "./a", "a/..", "../a", "a/./b", ".."})
        EXPECT_NE(artifact_path_problem(path), "") << path;
    using namespace std::string_literals;
    for (const auto& path :
         {"a\nb"s, "a\x1b[1m"s, "a\0b"s, "\xff"s, "\xc2\x85"s, "\xed\xa0\x80"s, "\xc0\xaf"s, "a\x7f"s})
        EXPECT_EQ(artifact_path_problem(path), "is not printable UTF-8");
    EXPECT_EQ(artifact_path_problem(std::string(256, 'x')), "is too long");
    std::string deep = "d";
    for (int i = 0; i < 64; ++i) deep += "/d";
    EXPECT_EQ(artifact_path_problem(deep), "is too deep");
}

}  // namespace
}  // namespace vmette::wire
