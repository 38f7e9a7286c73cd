/// The batch as a manifest of its own.

#include <gtest/gtest.h>

#include "manifest/batch_helpers.h"
#include "manifest/full_manifest.h"

namespace vmette::manifest {
namespace {

using testing::Files;
using testing::load_batch_text;
using testing::LoadedBatch;

/// Needs as names, groups as all of theirs.
std::vector<std::string> needs_of(const LoadedBatch& loaded, const BatchJob& job) {
    std::vector<std::string> names;
    for (const Need& need : job.needs)
        for (std::uint32_t i = 0; i < loaded.jobs.size(); ++i)
            if (need.group ? loaded.jobs[i].group == need.index : i == need.index) names.push_back(loaded.jobs[i].name);
    return names;
}

std::string written(const LoadedBatch& loaded) {
    std::string text = to_toml(loaded.batch);
    for (const BatchJob& job : loaded.jobs) text += to_toml(job, needs_of(loaded, job));
    return text;
}

void expect_reads_back(const LoadedBatch& loaded) {
    ASSERT_EQ(loaded.error, "");
    std::string text = written(loaded);
    auto again = load_batch_text(text);
    ASSERT_EQ(again.error, "") << text;
    EXPECT_EQ(again.batch.rules, loaded.batch.rules);
    ASSERT_EQ(again.jobs.size(), loaded.jobs.size());
    for (std::size_t i = 0; i < loaded.jobs.size(); ++i) {
        const BatchJob &before = loaded.jobs[i], &after = again.jobs[i];
        EXPECT_EQ(after.name, before.name);
        EXPECT_EQ(after.priority, before.priority);
        EXPECT_EQ(after.retry, before.retry);
        EXPECT_EQ(after.cache, before.cache);
        EXPECT_EQ(after.sandbox, before.sandbox) << text;
        EXPECT_EQ(needs_of(again, after), needs_of(loaded, before));
    }
    EXPECT_EQ(written(again), text);
}

TEST(BatchWriteTest, ReadsBackEqualWithEveryKey) {
    Files files{{"/proj/full.toml", std::string(testing::kFullManifest)},
                {"/proj/t.jsonl", "{\"id\": 1, \"p\": \"{{id}} {{{{ ${HOME} $$ it's\"}\n{\"id\": 2, \"p\": \"\"}\n"}};
    LoadRequest request = testing::batch_request(R"(
sandbox = "full.toml"
[pool]
vms = 3
memory = "4G"
[retry]
max = 3
on = ["exit:75", "lost"]
[batch]
max_failures = 2
deadline = "90s"
results = "out"
[[job]]
name = "all"
needs = ["j-{{id}}-{{m}}"]
[[job]]
name = "j-{{id}}-{{m}}"
from = "t.jsonl"
matrix.m = ["a", "{{b"]
exec = ["x", "{{p}}", "{{m}}"]
env = { P = "{{p}}" }
labels = { "a.b/c" = "{{m}}" }
priority = -3
cache = true
shares = ["./in:/in:overlay"]
disks = []
retry.max = 0
)",
                                                 files);
    request.environment = [](const std::string&) { return "value"; };
    auto loaded = testing::load_batch_request(request);
    EXPECT_NE(loaded.error.find("name must be"), std::string::npos) << "a value is no template, nor a name";
    request.sources[0].text.replace(request.sources[0].text.find("\"{{b\""), 5, "\"b\"");
    loaded = testing::load_batch_request(request);
    EXPECT_EQ(loaded.jobs.size(), 5U);
    EXPECT_EQ(loaded.jobs.at(1).sandbox.env.back().second, "{{id}} {{{{ ${HOME} $$ it's");
    expect_reads_back(loaded);
}

TEST(BatchWriteTest, ReadsBackEqualWithDefaults) {
    expect_reads_back(
        load_batch_text("sandbox.rootfs = \"/r\"\npool.memory = \"10%\"\n[[job]]\nname = \"a\"\nretry.max = 1\n"
                        "[[job]]\nname = \"b\"\nneeds = [\"a\"]\nexec = \"echo '{{{{x}}' $HOME\"\n"));
}

}  // namespace
}  // namespace vmette::manifest
