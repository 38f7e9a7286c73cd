#include "manifest/batch.h"

#include <gtest/gtest.h>

#include "manifest/batch_helpers.h"

namespace vmette::manifest {
namespace {

using std::chrono::seconds;
using testing::batch_request;
using testing::Files;
using testing::load_batch_request;
using testing::load_batch_text;
using testing::load_jobs;
using Names = std::vector<std::string>;

constexpr std::string_view kWhole = R"(schema = 1
name = "eval-0412"
sandbox = "agent.toml"
[pool]
vms = 4
memory = "50%"
vcpus = 6
shared = true
[retry]
max = 2
on = ["vm-error", "timeout", "exit:75"]
backoff = "1s"
[batch]
fail_fast = true
max_failures = 3
deadline = "1h"
order = "priority"
results = "./results"
[[job]]
name = "build"
exec = "make"
[[job]]
name = "lint"
exec = "make lint"
priority = 10
needs = ["build"]
cache = true
retry = { max = 0 }
[job.env]
MODE = "strict"
)";

TEST(BatchTest, EveryKeyArrives) {
    Files files{
        {"/proj/agent.toml", "name = \"agent\"\nrootfs = \"./rootfs\"\n[env]\nA = \"1\"\n[limits]\nmemory = \"1G\"\n"}};
    auto loaded = load_batch_text(std::string(kWhole), files);
    ASSERT_EQ(loaded.error, "");
    const BatchRules& rules = loaded.batch.rules;
    EXPECT_EQ(rules.name, "eval-0412");
    EXPECT_EQ(rules.pool, (Pool{.vms = 4, .memory_bytes = 0, .memory_percent = 50, .vcpus = 6, .shared = true}));
    EXPECT_TRUE(rules.fail_fast);
    EXPECT_EQ(rules.max_failures, 3U);
    EXPECT_EQ(rules.deadline, std::chrono::hours(1));
    EXPECT_EQ(rules.results, "/proj/results");
    EXPECT_EQ(loaded.batch.jobs, 2U);
    EXPECT_EQ(loaded.batch.groups, (Names{"build", "lint"}));

    ASSERT_EQ(loaded.jobs.size(), 2U);
    const BatchJob& build = loaded.jobs[0];
    const BatchJob& lint = loaded.jobs[1];
    EXPECT_EQ(build.name, "build");
    EXPECT_EQ(build.sandbox.name, "build") << "not the sandbox's own name";
    EXPECT_EQ(build.sandbox.rootfs.source, "/proj/rootfs");
    EXPECT_EQ(build.retry,
              (Retry{.max = 2, .on = {{"vm-error", {}}, {"timeout", {}}, {"", 75}}, .backoff = seconds(1)}));
    EXPECT_EQ(lint.group, 1U);
    EXPECT_EQ(lint.priority, 10);
    EXPECT_EQ(lint.needs, (std::vector<Need>{{.group = false, .index = 0}}));
    EXPECT_TRUE(lint.cache);
    EXPECT_EQ(lint.retry.max, 0U);
    EXPECT_EQ(lint.retry.backoff, seconds(1)) << "tables merge key by key";
    EXPECT_EQ(lint.sandbox.env, (std::vector<std::pair<std::string, std::string>>{{"A", "1"}, {"MODE", "strict"}}));
    EXPECT_EQ(lint.sandbox.limits.memory, kGiB);
}

TEST(BatchTest, WhatIsLeftOutHasItsDefault) {
    auto loaded = load_jobs("[[job]]\nname = \"a\"\nretry.max = 1\n");
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.batch.rules, (BatchRules{.name = "batch"}));
    EXPECT_EQ(loaded.jobs[0].retry, (Retry{.max = 1, .on = {{"vm-error", {}}}}));
    EXPECT_EQ(loaded.jobs[0].sandbox.exec, std::nullopt) << "the image's own command";
}

TEST(BatchTest, PoolMemoryIsAShareOrASize) {
    auto pool = [](const std::string& memory) {
        return load_batch_text("pool.memory = " + memory + "\nsandbox.rootfs = \"/r\"\njob = [{name = \"a\"}]\n");
    };
    EXPECT_EQ(pool("\"8G\"").batch.rules.pool.memory_bytes, 8 * kGiB);
    EXPECT_EQ(pool("512").batch.rules.pool.memory_bytes, 512 * kMiB);
    EXPECT_EQ(pool("\"100%\"").batch.rules.pool.memory_percent, 100U);
    EXPECT_EQ(pool("\"0%\"").error,
              "batch.toml:1:15: error: pool.memory: \"0%\" is no share from \"1%\" to \"100%\"\n"
              "    pool.memory = \"0%\"\n"
              "                  ^\n");
    EXPECT_NE(pool("\"7.5%\"").error, "");
    EXPECT_NE(pool("true").error.find("a share such as \"75%\""), std::string::npos);
}

TEST(BatchTest, LayersAreDefaultsThenFileThenTablesThenTheJob) {
    Files files{{"/proj/a.toml", "[limits]\nvcpus = 2\npids = 10\n"}, {"/proj/sub/b.toml", "shares = [\"./x:/x\"]\n"}};
    LoadRequest request =
        batch_request("sandbox = \"a.toml\"\n[[job]]\nname = \"j\"\n[job.limits]\npids = 30\n", files,
                      {"sandbox.limits.pids=20", "sandbox.limits.output=1M", "pool.vms=2", "sandbox.rootfs=/r"});
    request.sources.insert(request.sources.begin(), {.name = "config.toml",
                                                     .folder = "/c",
                                                     .text = "[defaults]\nlimits.vcpus = 1\nlimits.grace = 1\n",
                                                     .defaults_table = true});
    auto loaded = load_batch_request(request);
    ASSERT_EQ(loaded.error, "");
    const Limits& limits = loaded.jobs[0].sandbox.limits;
    EXPECT_EQ(limits.grace, seconds(1));
    EXPECT_EQ(limits.vcpus, 2U);
    EXPECT_EQ(limits.output, kMiB);
    EXPECT_EQ(limits.pids, 30U);
    EXPECT_EQ(loaded.batch.rules.pool.vms, 2U);
    EXPECT_EQ(loaded.jobs[0].sandbox.rootfs.source, "/r");

    auto other = load_batch_text("sandbox = \"a.toml\"\n[[job]]\nname = \"j\"\nrootfs = \"/r\"\n", files,
                                 {"sandbox=/proj/sub/b.toml"});
    ASSERT_EQ(other.error, "");
    EXPECT_EQ(other.jobs[0].sandbox.limits.vcpus, 1U);
    EXPECT_EQ(other.jobs[0].sandbox.shares[0].host, "/proj/sub/x") << "from the folder of its own file";
}

TEST(BatchTest, JobsOverrideAnySandboxKey) {
    auto loaded = load_batch_text(R"(
[sandbox]
rootfs = "/r"
shares = ["/a:/a"]
exec = "x"
[sandbox.limits]
memory = "1G"
vcpus = 2
[[job]]
name = "one"
rootfs = { source = "/other", read_only = true }
shares = []
net.mode = "nat"
limits.memory = "2G"
exec = ["y"]
[[job]]
name = "two"
)");
    ASSERT_EQ(loaded.error, "");
    EXPECT_TRUE(loaded.jobs[0].sandbox.rootfs.read_only);
    EXPECT_TRUE(loaded.jobs[0].sandbox.shares.empty());
    EXPECT_EQ(loaded.jobs[0].sandbox.net.mode, NetMode::nat);
    EXPECT_EQ(loaded.jobs[0].sandbox.limits.memory, 2 * kGiB);
    EXPECT_EQ(loaded.jobs[0].sandbox.limits.vcpus, 2U);
    EXPECT_EQ(loaded.argv(0), Names{"y"});
    EXPECT_EQ(loaded.jobs[1].sandbox.shares.size(), 1U);
    EXPECT_EQ(loaded.shell(1), "x");
}

TEST(BatchTest, TellsABatchFromASandbox) {
    auto is_batch = [](std::string text) {
        return is_batch_manifest({.name = "f", .folder = "/", .text = std::move(text)});
    };
    EXPECT_TRUE(is_batch("[[job]]\nname = \"a\"\n"));
    EXPECT_TRUE(is_batch("pool.vms = 1\n"));
    EXPECT_TRUE(is_batch("sandbox = \"x\"\n"));
    EXPECT_FALSE(is_batch("rootfs = \"x\"\n[metadata]\njob = 1\n"));
    EXPECT_FALSE(is_batch("job = [\n")) << "what does not parse is nothing";
}

TEST(BatchTest, TheSinksErrorEndsIt) {
    int calls = 0;
    auto made = load_batch(batch_request("sandbox.rootfs = \"/r\"\n[[job]]\nname = \"j{{n}}\"\nmatrix.n = [1, 2, 3]\n"),
                           [&](BatchJob&&) -> Result<> {
                               ++calls;
                               return fail(ErrorCode::no_space, "the disk is full");
                           });
    ASSERT_FALSE(made);
    EXPECT_EQ(render(made.error()), "error: the disk is full\n");
    EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace vmette::manifest
