#include <gtest/gtest.h>

#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

using testing::errors_of;
using testing::load_request;
using testing::load_text;
using testing::request_of;

TEST(MergeTest, TablesMergeKeyByKeyAndAllElseIsReplaced) {
    LoadRequest request = request_of(
        "rootfs = \"./a\"\nshares = [\"./one:/one\", \"./two:/two\"]\n"
        "[limits]\nvcpus = 2\nmemory = \"1G\"\n[env]\nA = \"1\"\nB = \"2\"\n");
    request.sources.push_back({.name = "b.toml",
                               .folder = "/other",
                               .text = "shares = [\"./three:/three\"]\n[limits]\nmemory = \"2G\"\n[env]\nC = "
                                       "\"3\"\nA = \"x\"\n"});
    auto loaded = load_request(request);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.limits.vcpus, 2U);
    EXPECT_EQ(loaded.sandbox.limits.memory, 2 * kGiB);
    ASSERT_EQ(loaded.sandbox.shares.size(), 1U);
    EXPECT_EQ(loaded.sandbox.shares[0].host, "/other/three");
    EXPECT_EQ(loaded.sandbox.rootfs.source, "/proj/a");
    std::vector<std::pair<std::string, std::string>> env{{"A", "x"}, {"B", "2"}, {"C", "3"}};
    EXPECT_EQ(loaded.sandbox.env, env);
}

TEST(MergeTest, ShortFormsMergeAsTheTablesTheyStandFor) {
    LoadRequest request = request_of("[rootfs]\nsource = \"./a\"\npull = \"never\"\n[scratch]\nsize = \"1G\"\n");
    request.sources.push_back({.name = "b.toml", .folder = "/b", .text = "rootfs = \"alpine:3.20\"\nscratch = 2048\n"});
    auto loaded = load_request(request);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.rootfs, (Rootfs{.source = "alpine:3.20", .pull = Pull::never}));
    EXPECT_EQ(loaded.sandbox.scratch, 2 * kGiB);
}

TEST(MergeTest, DefaultsComeFirstAndOnlyTheirTableCounts) {
    LoadRequest request = request_of("rootfs = \"./a\"\n[limits]\nvcpus = 3\n");
    request.sources.insert(request.sources.begin(), {.name = "config.toml",
                                                     .folder = "/config",
                                                     .text = "[other]\nx = 1\n[defaults.limits]\nvcpus = 2\npids = 7\n"
                                                             "[defaults.vm]\nca_certs = \"certs\"\n",
                                                     .defaults_table = true});
    auto loaded = load_request(request);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.name, "agent");
    EXPECT_EQ(loaded.sandbox.limits.vcpus, 3U);
    EXPECT_EQ(loaded.sandbox.limits.pids, 7U);
    EXPECT_EQ(loaded.sandbox.vm.ca_certs, "/config/certs");

    request.sources[0].text = "defaults = 3\n";
    EXPECT_EQ(load_request(request).error,
              "config.toml:1:12: error: defaults must be a table\n    defaults = 3\n               ^\n");
}

TEST(MergeTest, AMergedValueIsComplainedAboutInItsOwnFile) {
    LoadRequest request = request_of("rootfs = \"./a\"\n[limits]\nvcpus = 1\nmemory = \"1M\"\n");
    request.sources.push_back({.name = "b.toml", .folder = "/b", .text = "\n[limits]\nvcpus = 99\npidz = 1\n"});
    EXPECT_EQ(load_request(request).error,
              "agent.toml:4:10: error: limits.memory: 1M is less than 32M\n"
              "    memory = \"1M\"\n"
              "             ^\n"
              "\n"
              "b.toml:3:9: error: limits.vcpus must be a whole number from 1 to 32, not 99\n"
              "    vcpus = 99\n"
              "            ^\n"
              "\n"
              "b.toml:4:1: error: unknown key \"pidz\" in [limits]; did you mean \"pids\"?\n"
              "    pidz = 1\n"
              "    ^\n");
}

TEST(MergeTest, AScalarOverATableIsATypeErrorAtTheScalar) {
    EXPECT_EQ(errors_of("[limits]\nvcpus = 1\n", {"limits=3"}),
              "--set limits=3: error: limits must be a table, not an integer\n");
}

TEST(SetTest, ValuesAreTomlOrElseStrings) {
    auto loaded = load_text("", {"limits.timeout=2s", "limits.vcpus=4", "tty=true", "exec=[\"a\", \"b c\"]",
                                 "env.\"A\"=x=y", "net.mode=\"nat\"", "shares=[\"./src:/src:rw\"]", "scratch=\"1G\""});
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.limits.timeout, std::chrono::seconds(2));
    EXPECT_EQ(loaded.sandbox.limits.vcpus, 4U);
    EXPECT_TRUE(loaded.sandbox.tty);
    EXPECT_EQ(loaded.sandbox.exec, Exec(Argv{{"a", "b c"}}));
    EXPECT_EQ(loaded.sandbox.env[0].second, "x=y");
    EXPECT_EQ(loaded.sandbox.net.mode, NetMode::nat);
    EXPECT_EQ(loaded.sandbox.shares[0].host, "/cwd/src");
    EXPECT_EQ(loaded.sandbox.scratch, kGiB);
}

TEST(SetTest, ScalarsServeAsStringsWhereOneIsWanted) {
    auto loaded = load_text("", {"env.PORT=8080", "labels.v=1.50", "labels.on=true", "user=1000",
                                 "labels.day=2024-01-02", "metadata.x=1.50"});
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.env[0].second, "8080");
    EXPECT_EQ(loaded.sandbox.labels,
              (std::map<std::string, std::string>{{"v", "1.50"}, {"on", "true"}, {"day", "2024-01-02"}}));
    EXPECT_EQ(loaded.sandbox.user, "1000");
    EXPECT_EQ(loaded.sandbox.metadata, "x = 1.5\n");
}

TEST(SetTest, LaterOnesWinAndAllComeAfterTheFiles) {
    EXPECT_EQ(load_text("[limits]\nvcpus = 1\n", {"limits.vcpus=2", "limits.vcpus=3"}).sandbox.limits.vcpus, 3U);
}

TEST(SetTest, WrongFlagsAreNamedWhole) {
    EXPECT_EQ(errors_of("", {"limits.memroy=1G"}),
              "--set limits.memroy=1G: error: unknown key \"memroy\" in [limits]; did you mean \"memory\"?\n");
    EXPECT_EQ(errors_of("", {"limits.timeout=2x"}),
              "--set limits.timeout=2x: error: limits.timeout: \"2x\" is not a duration: a whole number with ms, s, m "
              "or h, or a bare number of seconds\n");
    EXPECT_EQ(errors_of("", {"=1"}), "--set =1: error: \"\" is not a key, such as limits.timeout\n");
    EXPECT_EQ(errors_of("", {"a b=1"}), "--set a b=1: error: \"a b\" is not a key, such as limits.timeout\n");
    EXPECT_EQ(errors_of("", {"#=1"}), "--set #=1: error: \"#\" is not a key, such as limits.timeout\n");
    EXPECT_EQ(errors_of("", {"shares=./a:/a"}),
              "--set shares=./a:/a: error: shares must be an array of strings or tables, not \"./a:/a\"\n");
    EXPECT_EQ(errors_of("", {"user=\xff"}), "--set user=\\xff: error: a byte that is not valid UTF-8\n");
}

TEST(SetTest, AValueCannotBringInASecondKey) {
    auto loaded = load_text("", {"labels.a=1\ntty = true", "labels.b=1 # x"});
    ASSERT_EQ(loaded.error, "");
    EXPECT_FALSE(loaded.sandbox.tty);
    EXPECT_EQ(loaded.sandbox.labels["a"], "1\ntty = true");
    EXPECT_EQ(loaded.sandbox.labels["b"], "1 # x");
    EXPECT_NE(errors_of("", {"a\nb=1"}), "");
}

}  // namespace
}  // namespace vmette::manifest
