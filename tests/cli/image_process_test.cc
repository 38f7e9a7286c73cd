/// The image verbs over a cache that was filled without a network.

#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/vmette_process.h"

namespace vmette::cli {
namespace {

using json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

class ImageVerbsTest : public testing::Test {
protected:
    /// An archive NAME.tar below the home folder, of one file; its source as it is written there.
    std::string archive(const std::string& name) {
        auto made = home_.shell("mkdir -p tree && echo " + name + " >tree/file && tar -C tree -cf " + name + ".tar .");
        EXPECT_EQ(made.code, 0) << made.err;
        return "tar+file://" + name + ".tar";
    }
    json printed(const std::vector<std::string>& words) {
        auto result = home_.run(words);
        EXPECT_EQ(result.code, 0) << result.err;
        return json::parse(result.out, nullptr, false);
    }
    std::vector<std::string> names() { return names_in(printed({"image", "ls", "--json"})); }
    static std::vector<std::string> names_in(const json& images) {
        std::vector<std::string> out;
        for (const auto& image : images) out.push_back(image.value("source", ""));
        return out;
    }

    VmetteHome home_;
};

TEST_F(ImageVerbsTest, EmptyCacheIsSaidAndIsNoError) {
    auto listed = home_.run({"image", "ls"});
    EXPECT_EQ(listed.code, 0);
    EXPECT_EQ(listed.out, "");
    EXPECT_EQ(listed.err, "vmette: no images; `vmette image pull SOURCE` fetches one, and so does a run\n");
    EXPECT_EQ(home_.run({"image", "ls", "--json"}).out, "[]\n");
    EXPECT_EQ(home_.run({"image", "ls", "--jsonl"}).out, "");
    for (const char* flag : {"--quiet", "--dry-run"})
        EXPECT_EQ(home_.run({"image", "prune", flag}).err,
                  "vmette: nothing to prune: no bound is set; --older-than, --max-size and --all say what is to go, or "
                  "[images] in config.toml\n");
    EXPECT_EQ(home_.run({"image", "prune", "--all"}).err, "vmette: nothing to prune\n");
    EXPECT_EQ(home_.run({"image", "verify", "--json"}).out, "[]\n");
}

TEST_F(ImageVerbsTest, PathsOfSourcesAreTakenFromHere) {
    std::string source = archive("a");
    json pulled = printed({"image", "pull", source, "--json"});
    ASSERT_EQ(pulled.size(), 1U);
    EXPECT_EQ(pulled[0]["source"], "tar+file://" + home_.path("a.tar"));
    EXPECT_EQ(printed({"image", "inspect", source, "--json"})["digest"], pulled[0]["digest"]);
    auto gone = home_.run({"image", "pull", "docker-archive:gone.tar"});
    EXPECT_EQ(gone.code, 1);
    EXPECT_THAT(gone.err, HasSubstr(home_.path("gone.tar")));
}

TEST_F(ImageVerbsTest, ListAndDetailsAgree) {
    home_.run({"image", "pull", archive("a"), archive("b")});
    json listed = printed({"image", "ls", "--json"});
    ASSERT_EQ(listed.size(), 2U);
    for (const json& image : listed) {
        json details = printed({"image", "inspect", image["digest"], "--json"});
        // All that the list says of an image the details say too.
        for (const auto& [key, value] : image.items()) EXPECT_EQ(details[key], value) << key;
        EXPECT_EQ(image["in_use"], false);
        EXPECT_EQ(image["uses"], 0);
        EXPECT_EQ(std::filesystem::file_size(details["path"].get<std::string>()), image["bytes"]);
    }
    auto lines = home_.run({"image", "ls", "--jsonl"}).out;
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
    auto table = home_.run({"image", "ls"});
    EXPECT_THAT(table.out, StartsWith("DIGEST "));
    EXPECT_THAT(table.err, MatchesRegex("vmette: 2 images, [0-9.]+ KiB\n"));
}

TEST_F(ImageVerbsTest, WhatIsNamedGoesAndTheRestStays) {
    home_.run({"image", "pull", archive("a"), archive("b"), archive("c")});
    json a = printed({"image", "inspect", "tar+file://a.tar", "--json"});
    auto removed = home_.run({"image", "rm", "nothing", a["digest"].get<std::string>().substr(7, 12)});
    EXPECT_EQ(removed.code, 1);
    EXPECT_EQ(removed.out, "untagged tar+file://" + home_.path("a.tar") + "\nremoved " +
                               a["digest"].get<std::string>() + ", freed 4.0 KiB\n");
    EXPECT_EQ(removed.err, "vmette: error: there is no image \"nothing\" in the cache\n");
    EXPECT_FALSE(std::filesystem::exists(a["path"].get<std::string>()));
    EXPECT_EQ(names().size(), 2U);
    EXPECT_EQ(home_.run({"image", "inspect", "tar+file://a.tar"}).code, 1);
}

TEST_F(ImageVerbsTest, NameGoesAloneUntilItIsTheLast) {
    std::string first = archive("a");
    home_.shell("cp a.tar b.tar; cp a.tar c.tar");
    ASSERT_EQ(home_.run({"image", "pull", first, "tar+file://b.tar", "tar+file://c.tar"}).code, 0);
    json image = printed({"image", "inspect", first, "--json"});
    ASSERT_EQ(image["sources"].size(), 3U);
    auto untagged = [&](const char* name) { return "untagged tar+file://" + home_.path(name) + "\n"; };
    EXPECT_EQ(home_.run({"image", "rm", first}).out, untagged("a.tar"));
    EXPECT_EQ(home_.run({"image", "inspect", first}).code, 1);
    EXPECT_EQ(printed({"image", "inspect", "tar+file://b.tar", "--json"})["digest"], image["digest"]);
    EXPECT_TRUE(std::filesystem::exists(image["path"].get<std::string>()));
    std::string gone = "removed " + image["digest"].get<std::string>() + ", freed 4.0 KiB\n";
    EXPECT_EQ(home_.run({"image", "rm", "tar+file://b.tar", "tar+file://c.tar"}).out,
              untagged("b.tar") + untagged("c.tar") + gone);
    EXPECT_FALSE(std::filesystem::exists(image["path"].get<std::string>()));

    home_.run({"image", "pull", first, "tar+file://b.tar"});
    EXPECT_THAT(
        home_.run({"image", "rm", image["digest"]}).out,
        testing::AnyOf(untagged("a.tar") + untagged("b.tar") + gone, untagged("b.tar") + untagged("a.tar") + gone));
}

TEST_F(ImageVerbsTest, PullGoesOnAfterAFailure) {
    auto pulled = home_.run({"image", "pull", "docker-archive:gone.tar", archive("a"), "No/Name", archive("b")});
    EXPECT_EQ(pulled.code, 1);
    EXPECT_THAT(pulled.out, MatchesRegex("sha256:[0-9a-f]+\nsha256:[0-9a-f]+\n"));
    EXPECT_THAT(pulled.err, HasSubstr("vmette: error: "));
    EXPECT_THAT(pulled.err, HasSubstr(home_.path("gone.tar")));
    EXPECT_THAT(pulled.err, testing::EndsWith("vmette: error: 2 of 4 images could not be pulled\n"));
    EXPECT_EQ(names().size(), 2U);
    json one = json::parse(home_.run({"image", "pull", "docker-archive:gone.tar", "tar+file://a.tar", "--json"}).out);
    EXPECT_EQ(one.size(), 1U);
    EXPECT_EQ(home_.run({"image", "pull", "a//b", "c//d"}).code, 2);
}

TEST_F(ImageVerbsTest, WrongValuesComeWithExamples) {
    EXPECT_EQ(home_.run({"image", "prune", "--older-than", "30d"}).code, 0);
    EXPECT_EQ(home_.run({"image", "prune", "--older-than", "4w"}).code, 0);
    auto age = home_.run({"image", "prune", "--older-than", "1x"});
    EXPECT_EQ(age.code, 2);
    EXPECT_EQ(age.err, "vmette: error: --older-than: \"1x\" is not an age, such as 12h, 7d or 4w\n");
    auto size = home_.run({"image", "prune", "--max-size", "1X"});
    EXPECT_EQ(size.code, 2);
    EXPECT_THAT(size.err, HasSubstr("--max-size: \"1X\" is not a size"));
    auto brief = home_.run({"image", "inspect", "abc"});
    EXPECT_EQ(brief.code, 1);
    EXPECT_EQ(
        brief.err,
        "vmette: error: there is no image \"abc\" in the cache; the beginning of a digest has at least 4 digits\n");
}

TEST_F(ImageVerbsTest, MistakesInTheConfigAreSaidBeforeAnythingIsDone) {
    std::filesystem::create_directories(home_.layout().config);
    std::string file = home_.layout().config_file().string();
    std::ofstream(file) << "[image]\nttl = 1\n[images]\nttl = \"soon\"\n[registries.\"a.example\"]\nplain_htp = true\n"
                           "[history]\nsearch = \"yes\"\n";
    std::string said = file + ":1:2: error: unknown key \"image\" in config.toml; did you mean \"images\"?\n";
    for (const std::vector<std::string>& words : {std::vector<std::string>{"image", "pull", archive("a")},
                                                  {"image", "prune", "--all"},
                                                  {"run", archive("a")}}) {
        auto refused = home_.run(words);
        EXPECT_EQ(refused.code, 2) << words[1] << refused.err;
        EXPECT_EQ(refused.out, "");
        EXPECT_THAT(refused.err, HasSubstr(said)) << words[1];
        EXPECT_THAT(refused.err, HasSubstr(":4:7: error: images.ttl must be a duration such as"));
        EXPECT_THAT(refused.err, HasSubstr("\n    ttl = \"soon\"\n          ^\n"));
        EXPECT_THAT(refused.err,
                    HasSubstr(":6:1: error: unknown key \"plain_htp\" in registries.\"a.example\"; did you "
                              "mean \"plain_http\"?"));
        EXPECT_THAT(refused.err, HasSubstr(":8:10: error: history.search must be true or false, not \"yes\""));
    }
    EXPECT_TRUE(names().empty());
    EXPECT_EQ(home_.run({"history"}).code, 0) << "what needs none of it goes on";
    std::ofstream(file) << "[images\n";
    EXPECT_EQ(home_.run({"image", "pull", archive("a")}).code, 2);
    EXPECT_EQ(home_.run({"run", archive("a")}).code, 2);
}

TEST_F(ImageVerbsTest, PruningSaysFirstWhatItWillDo) {
    home_.run({"image", "pull", archive("a"), archive("b")});
    EXPECT_EQ(home_.run({"image", "prune", "--older-than", "1h"}).err, "vmette: nothing to prune\n");
    json rehearsed = printed({"image", "prune", "--all", "--dry-run", "--json"});
    EXPECT_EQ(rehearsed["dry_run"], true);
    EXPECT_EQ(rehearsed["removed"].size(), 2U);
    EXPECT_EQ(names().size(), 2U);
    json done = printed({"image", "prune", "--all", "--json"});
    EXPECT_EQ(names_in(done["removed"]), names_in(rehearsed["removed"]));
    EXPECT_EQ(done["bytes"], rehearsed["bytes"]);
    EXPECT_TRUE(names().empty());
}

TEST_F(ImageVerbsTest, BoundsOfTheConfigHoldWhenAnImageComesIn) {
    std::filesystem::create_directories(home_.layout().config);
    std::ofstream(home_.layout().config_file()) << "[images]\ncache_size = \"4M\"\n";
    for (const char* name : {"a", "b", "c"}) {
        home_.shell("mkdir -p tree && head -c 1500000 /dev/urandom >tree/noise");
        auto pulled = home_.run({"image", "pull", archive(name)});
        EXPECT_EQ(pulled.code, 0) << pulled.err;
    }
    auto left = names();
    ASSERT_EQ(left.size(), 2U) << "a and b fit, c does not beside both";
    EXPECT_EQ(left[0], "tar+file://" + home_.path("c.tar"));
    EXPECT_EQ(left[1], "tar+file://" + home_.path("b.tar"));
}

TEST_F(ImageVerbsTest, DamageIsFoundAndMadeGood) {
    std::string source = archive("a");
    home_.run({"image", "pull", source});
    json before = printed({"image", "inspect", source, "--json"});
    std::filesystem::path file = before["path"].get<std::string>();
    EXPECT_THAT(home_.run({"image", "verify"}).out, HasSubstr("  sound "));
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(200) << "damage";
    auto found = home_.run({"image", "verify"});
    EXPECT_EQ(found.code, 1);
    EXPECT_THAT(found.out, HasSubstr("  damaged, removed "));
    EXPECT_EQ(home_.run({"image", "pull", source}).out, before["digest"].get<std::string>() + "\n");
    EXPECT_EQ(home_.run({"image", "verify"}).code, 0);
}

/// A label of 64 letters is no name of a host: nobody is asked about it.
TEST_F(ImageVerbsTest, TryThatIsRepeatedIsSaidUnlessQuiet) {
    std::string source = std::string(64, 'a') + ".example/app:1";
    std::string failure = source + ": the manifest cannot be fetched from " + std::string(64, 'a') +
                          "\\.example: Could not resolve host: " + std::string(64, 'a') + "\\.example";
    auto said = home_.run({"image", "pull", source});
    EXPECT_EQ(said.code, 1);
    EXPECT_THAT(said.err, MatchesRegex("vmette: " + failure + "; try 2 of 2 in [0-9.]+ s\nvmette: error: " + failure +
                                       ", 2 times in a row\n"));
    EXPECT_THAT(home_.run({"--quiet", "image", "pull", source}).err,
                MatchesRegex("vmette: error: " + failure + ", 2 times in a row\n"));
}

TEST_F(ImageVerbsTest, QuietMeansTheDigestAlone) {
    auto pulled = home_.run({"--quiet", "image", "pull", archive("a")});
    EXPECT_THAT(pulled.out, MatchesRegex("sha256:[0-9a-f]+\n"));
    EXPECT_EQ(pulled.err, "");
}

}  // namespace
}  // namespace vmette::cli
