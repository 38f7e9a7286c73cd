#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/vmette_process.h"

namespace vmette::cli {
namespace {

using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A home with a root folder and a manifest that uses it.
class ManifestTest : public testing::Test {
protected:
    ManifestTest() {
        std::filesystem::create_directory(home_.path("root"));
        file_ = home_.write("hello.toml", "rootfs = \"./root\"\nexec = \"echo hello\"\n[env]\nA = \"1\"\n");
    }
    VmetteHome home_;
    std::string file_;
};

TEST_F(ManifestTest, ValidManifestIsValid) {
    auto result = home_.run({"validate", "hello.toml"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, "hello.toml: valid\n");
    EXPECT_EQ(result.err, "");
}

TEST_F(ManifestTest, EveryMistakeIsShownWithItsPlace) {
    home_.write("bad.toml", "rootfs = \"./root\"\nexce = \"x\"\n[limits]\ntimeout = \"2 fortnights\"\n");
    auto result = home_.run({"validate", "bad.toml"});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("bad.toml:2:1: error: "));
    EXPECT_THAT(result.err, HasSubstr("exec"));
    EXPECT_THAT(result.err, HasSubstr("\n\nbad.toml:4:11: error: "));
    EXPECT_EQ(home_.run({"up", "bad.toml"}).err, result.err) << "the same from every verb";
    EXPECT_EQ(home_.run({"plan", "bad.toml"}).err, result.err);

    auto document = json::parse(home_.run({"validate", "bad.toml", "--json"}).out);
    EXPECT_EQ(document["valid"], false);
    ASSERT_EQ(document["diagnostics"].size(), 2u);
    EXPECT_EQ(document["diagnostics"][0]["line"], 2);
    EXPECT_EQ(document["diagnostics"][1]["column"], 11);
    EXPECT_EQ(document["diagnostics"][1]["source_line"], "timeout = \"2 fortnights\"");
}

TEST_F(ManifestTest, EachFileMayBeCheckedAlone) {
    home_.write("part.toml", "exec = \"x\"\n");
    EXPECT_EQ(home_.run({"validate", "hello.toml", "part.toml"}).out, "hello.toml + part.toml: valid\n");
    auto each = home_.run({"validate", "--each", "hello.toml", "part.toml"});
    EXPECT_EQ(each.code, 2);
    EXPECT_EQ(each.out, "hello.toml: valid\n");
    EXPECT_THAT(each.err, HasSubstr("rootfs"));
    auto documents = json::parse(home_.run({"validate", "--each", "--json", "hello.toml", "part.toml"}).out);
    ASSERT_EQ(documents.size(), 2u);
    EXPECT_EQ(documents[0]["valid"], true);
    EXPECT_EQ(documents[1]["valid"], false);
}

constexpr std::string_view kBatch = R"(
sandbox = "hello.toml"
pool.vms = 2
[[job]]
name = "j-{{n}}"
exec = "echo {{n}} '{{n}}'"
matrix.n = [1, "a b"]
[[job]]
name = "end"
needs = ["j-{{n}}"]
)";

TEST_F(ManifestTest, BatchesAreValidatedJobByJob) {
    std::string batch(kBatch);
    home_.write("bad.toml", batch);
    auto bad = home_.run({"validate", "bad.toml"});
    EXPECT_EQ(bad.code, 2);
    EXPECT_THAT(bad.err, StartsWith("bad.toml:5:8: error: name must be a name: "));
    batch.replace(batch.find("a b"), 3, "ab");
    home_.write("batch.toml", batch);
    EXPECT_EQ(home_.run({"validate", "batch.toml"}).out, "batch.toml: valid, 3 jobs\n");
    EXPECT_EQ(home_.run({"validate", "--each", "hello.toml", "batch.toml"}).out,
              "hello.toml: valid\nbatch.toml: valid, 3 jobs\n");
    auto document = json::parse(home_.run({"validate", "--json", "batch.toml"}).out);
    EXPECT_EQ(document["valid"], true);
    EXPECT_EQ(document["jobs"], 3);
    auto listed = home_.run({"batch", "run", "--dry-run", "batch.toml"});
    EXPECT_EQ(listed.out, "j-1\nj-ab\nend\n");
    auto documents = json::parse(home_.run({"batch", "run", "--dry-run", "--json", "batch.toml"}).out);
    ASSERT_EQ(documents.size(), 3u);
    EXPECT_EQ(documents[2], (json{{"index", 2}, {"name", "end"}, {"priority", 0}}));
    EXPECT_THAT(home_.run({"up", "batch.toml"}).err, HasSubstr("belongs to a batch manifest"));
}

TEST_F(ManifestTest, TheSchemaKnowsTheKeysOfABatch) {
    auto schema = json::parse(home_.run({"schema"}).out);
    auto job = schema["$defs"]["batch"]["properties"]["job"]["items"]["properties"];
    for (const char* key : {"name", "needs", "matrix", "from", "priority", "retry", "cache", "exec", "limits"})
        EXPECT_TRUE(job.contains(key)) << key;
    EXPECT_TRUE(schema["$defs"]["batch"]["properties"]["batch"]["properties"].contains("max_jobs"));
}

TEST_F(ManifestTest, MissingFileIsAUsageError) {
    auto result = home_.run({"up", "nowhere.toml"});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, StartsWith("vmette: error: "));
    EXPECT_THAT(result.err, HasSubstr("nowhere.toml"));
    EXPECT_FALSE(std::filesystem::exists(home_.layout().state));
}

TEST_F(ManifestTest, ManifestMayComeFromStdin) {
    auto result = home_.run({"validate", "-"}, "rootfs = \"" + home_.path("root") + "\"\nexec = \"x\"\n");
    EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(ManifestTest, PlanIsAManifestThatPlansTheSame) {
    auto first = home_.run(
        {"plan", "hello.toml", "--set", "limits.timeout=90s", "--env", "B=$x", "--", "sh", "-c", "echo \"$A\" '\n'"});
    ASSERT_EQ(first.code, 0) << first.err;
    EXPECT_THAT(first.out, HasSubstr("90s"));
    EXPECT_THAT(first.out, HasSubstr("\n# "));
    EXPECT_THAT(first.out, HasSubstr("qemu-system"));
    home_.write("planned.toml", first.out);
    EXPECT_EQ(home_.run({"validate", "planned.toml"}).code, 0);
    auto second = home_.run({"plan", "planned.toml"});
    EXPECT_EQ(second.out, first.out);
    EXPECT_FALSE(std::filesystem::exists(home_.layout().database())) << "a plan makes nothing";
}

TEST_F(ManifestTest, PlanAsADocument) {
    auto result = home_.run({"plan", "hello.toml", "--json"});
    ASSERT_EQ(result.code, 0) << result.err;
    auto plan = json::parse(result.out);
    EXPECT_EQ(plan["provider"], "dir");
    EXPECT_EQ(plan["kernel"], home_.path("assets/vmlinux"));
    EXPECT_THAT(plan["qemu"][0].get<std::string>(), HasSubstr("qemu-system"));
    EXPECT_GT(plan["devices"]["limit"].get<int>(), plan["devices"]["used"].get<int>());
    EXPECT_THAT(plan["manifest"].get<std::string>(), HasSubstr("echo hello"));
}

TEST_F(ManifestTest, EnvironmentFlagTakesItsValueFromHere) {
    home_.set_environment("TOKEN", "a${b}");
    auto plan = home_.run({"plan", "hello.toml", "--env", "TOKEN", "--env", "A=2", "--env", "A=3"});
    ASSERT_EQ(plan.code, 0) << plan.err;
    EXPECT_THAT(plan.out, HasSubstr("TOKEN = \"a$${b}\""));
    EXPECT_THAT(plan.out, HasSubstr("A = \"3\""));
    auto unset = home_.run({"plan", "hello.toml", "--env", "NOT_SET"});
    EXPECT_EQ(unset.code, 2);
    EXPECT_EQ(unset.err, "vmette: error: --env NOT_SET: it is not set in the environment\n");
    EXPECT_EQ(home_.run({"plan", "hello.toml", "--env", "=x"}).err, "vmette: error: --env =x: the name is missing\n");
}

TEST_F(ManifestTest, WordsThatAreNotTextAreRefused) {
    auto result = home_.run({"plan", "hello.toml", "--", "echo", "\xff\xfe"});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.err, "vmette: error: the command after `--`: '\\xff\\xfe' is not valid UTF-8\n");
}

TEST_F(ManifestTest, DefaultsOfTheUserComeFirst) {
    std::filesystem::create_directories(home_.layout().config);
    home_.write(".config/vmette/config.toml", "[defaults.limits]\nmemory = \"333M\"\nvcpus = 2\n");
    auto plan = home_.run({"plan", "hello.toml", "--set", "limits.vcpus=3"});
    ASSERT_EQ(plan.code, 0) << plan.err;
    EXPECT_THAT(plan.out, HasSubstr("333M"));
    EXPECT_THAT(plan.out, HasSubstr("vcpus = 3"));
}

TEST_F(ManifestTest, StarterManifestIsValid) {
    auto made = home_.run({"init", "mine.toml"});
    EXPECT_EQ(made.code, 0) << made.err;
    EXPECT_EQ(made.out, "");
    EXPECT_EQ(made.err,
              "vmette: wrote mine.toml; check it with `vmette validate mine.toml`, then run it with `vmette up "
              "mine.toml`\n");
    auto checked = home_.run({"validate", "mine.toml"});
    EXPECT_EQ(checked.code, 2);
    EXPECT_THAT(checked.err, HasSubstr("mine.toml:5:10: error: the rootfs folder "));
    std::filesystem::create_directory(home_.path("rootfs"));
    checked = home_.run({"validate", "mine.toml"});
    EXPECT_EQ(checked.code, 0) << checked.err;

    auto again = home_.run({"init", "mine.toml"});
    EXPECT_EQ(again.code, 1);
    EXPECT_EQ(again.err, "vmette: error: mine.toml is there already; --force replaces it\n");
    EXPECT_EQ(home_.run({"init", "mine.toml", "--force"}).code, 0);
    EXPECT_EQ(home_.run({"init", "no/such/folder.toml"}).code, 1);
    EXPECT_EQ(home_.run({"init", "-"}).err, "");
}

TEST_F(ManifestTest, FailureOfARunHasOneRemarkInParentheses) {
    home_.set_environment("VMETTE_QEMU", "/no/qemu");
    auto result = home_.run({"up", "hello.toml"});
    EXPECT_EQ(result.code, 125);
    auto run = json::parse(home_.run({"history", "show", "hello", "--json"}).out);
    EXPECT_THAT(run["error"].get<std::string>(), EndsWith(" (before the command began)"));
    EXPECT_THAT(result.err, EndsWith(" (before the command began; run " + run["id"].get<std::string>() + ")\n"));
}

TEST_F(ManifestTest, SchemaIsJson) {
    auto schema = json::parse(home_.run({"schema"}).out);
    EXPECT_EQ(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

TEST_F(ManifestTest, WhatIsNotAvailableIsRefusedBeforeAnythingIsMade) {
    home_.write("allow.toml",
                "rootfs = \"./root\"\nexec = \"x\"\n[net]\nmode = \"allowlist\"\nallow = [\"pypi.org\"]\n");
    auto result = home_.run({"up", "allow.toml"});
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("not available yet"));
    EXPECT_FALSE(std::filesystem::exists(home_.layout().state));
    auto valid = home_.run({"validate", "allow.toml"});
    EXPECT_EQ(valid.code, 0);
    EXPECT_THAT(valid.err, HasSubstr("warning: allow.toml: "));
}

}  // namespace
}  // namespace vmette::cli
