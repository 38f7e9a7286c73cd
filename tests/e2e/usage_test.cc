/// What vmette refuses before anything is started.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/vmette_home.h"

namespace vmette::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct UsageTest : ::testing::Test {
    VmetteHome home{Cache::own};

    void expect_refused(const std::string& toml, const std::string& message) {
        auto file = home.write("box.toml", toml);
        auto finished = home.vmette({"up", file}, std::chrono::seconds(20));
        EXPECT_EQ(finished.code, 2) << finished;
        EXPECT_THAT(finished.err, HasSubstr(message)) << finished;
        EXPECT_EQ(finished.out, "");
        EXPECT_FALSE(std::filesystem::exists(home.layout().database())) << "something was started";
    }
};

TEST_F(UsageTest, UnknownKeyNamesTheNearest) {
    auto file = home.write("box.toml", "rootfs = \".\"\n[limits]\nmemorry = \"1G\"\n");
    auto finished = home.vmette({"up", file});
    EXPECT_EQ(finished.code, 2) << finished;
    EXPECT_EQ(finished.err, file.string() +
                                ":3:1: error: unknown key \"memorry\" in [limits]; did you mean "
                                "\"memory\"?\n    memorry = \"1G\"\n    ^\n");
}

TEST_F(UsageTest, MissingShareIsNamedWithItsPlace) {
    expect_refused("rootfs = \".\"\nexec = \"true\"\nshares = [\"./not-there:/src\"]\n", "not-there");
}

TEST_F(UsageTest, MissingManifestIsNamed) {
    auto finished = home.vmette({"up", "/no/such.toml"});
    EXPECT_EQ(finished.code, 2) << finished;
    EXPECT_THAT(finished.err, HasSubstr("/no/such.toml"));
}

TEST_F(UsageTest, BadSizeAndWrongTypeAreAllListed) {
    auto file = home.write("box.toml", "rootfs = \".\"\nexec = 5\n[limits]\nmemory = \"12Q\"\nvcpus = \"two\"\n");
    auto finished = home.vmette({"up", file});
    EXPECT_EQ(finished.code, 2) << finished;
    for (const char* place : {":2:", ":4:", ":5:"}) EXPECT_THAT(finished.err, HasSubstr(file.string() + place));
}

TEST_F(UsageTest, WhatIsNotAvailableYetIsRefused) {
    auto refuse = [&](const std::string& toml, const std::string& what) {
        auto file = home.write("box.toml", "rootfs = \".\"\nexec = \"true\"\n" + toml);
        auto finished = home.vmette({"up", file});
        EXPECT_NE(finished.code, 0) << finished;
        EXPECT_THAT(finished.err, AllOf(HasSubstr(what), HasSubstr("not available yet"))) << toml;
        EXPECT_FALSE(std::filesystem::exists(home.layout().database())) << toml;
    };
    refuse("[net]\nmode = \"allowlist\"\nallow = [\"example.com\"]\n", "allowlist");
    refuse("ports = [\"8080:80\"]\n[net]\nmode = \"nat\"\n", "ports");
    refuse("[snapshot]\nsetup = [\"true\"]\n", "snapshot.setup");
    for (const char* verb : {"mcp"}) {
        auto finished = home.vmette({verb, "x"});
        EXPECT_NE(finished.code, 0);
        EXPECT_THAT(finished.err, HasSubstr(fmt::format("vmette {} is not available yet", verb)));
    }
}

TEST_F(UsageTest, ImageThatIsNotInTheCacheIsNotFetchedOffline) {
    auto finished = home.vmette({"run", "alpine:3.20", "--offline", "--", "true"});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err,
                HasSubstr("docker.io/library/alpine:3.20 is not in the cache, and the network is ruled out"));
}

TEST_F(UsageTest, HistoryIsEmptyAtFirstAndGcHasNothingToDo) {
    EXPECT_TRUE(home.runs().empty());
    EXPECT_THAT(home.leftovers(), IsEmpty());
    EXPECT_EQ(home.vmette({"history", "show", "nothing"}).code, 1);
}

TEST_F(UsageTest, SixtyFourProcessesReadOneHistory) {
    std::vector<VmetteProcess> readers;
    for (int i = 0; i < 64; ++i) readers.push_back(home.start({"history", "--json"}));
    for (auto& reader : readers) {
        auto finished = reader.finish();
        EXPECT_EQ(finished.code, 0) << finished;
        EXPECT_EQ(finished.out, "[]\n");
        EXPECT_EQ(finished.err, "");
    }
}

}  // namespace
}  // namespace vmette::testing
