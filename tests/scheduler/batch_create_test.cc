#include "scheduler/batch_create.h"

#include <gmock/gmock.h>

#include "batch_fixture.h"

namespace vmette::scheduler {
namespace {

using store::BatchStatus;
using ::testing::HasSubstr;

struct BatchCreateTest : BatchFixture {
    HostSize size{16'384, 4};

    static manifest::LoadRequest request_of(const std::string& text) {
        manifest::LoadRequest request;
        request.sources.push_back({.name = "jobs.toml", .folder = "/proj", .text = text});
        request.environment = [](const std::string&) { return std::nullopt; };
        request.check_host = false;
        return request;
    }
    std::expected<NewBatch, BatchRefusal> create(const std::string& text, bool always_new = false) {
        auto request = request_of(text);
        return create_batch(store, clock, {request, "the/jobs.toml", size, always_new});
    }
    NewBatch made(const std::string& text, bool always_new = false) {
        auto created = create(text, always_new);
        if (!created && created.error().error) throw std::runtime_error(created.error().error->text());
        if (!created) throw std::runtime_error(manifest::render(created.error().diagnostics));
        return *std::move(created);
    }
    /// The error beside the manifest's places.
    Error refused(const std::string& text) {
        auto created = create(text);
        EXPECT_FALSE(created);
        if (created) return {};
        EXPECT_TRUE(created.error().diagnostics.empty()) << manifest::render(created.error().diagnostics);
        EXPECT_TRUE(batches.list(0)->empty()) << "nothing of it is in the queue";
        return created.error().error.value_or(Error{});
    }
};

const std::string kHead = R"(schema = 1
name = "demo"
[sandbox]
rootfs = "./rootfs"
exec = "true"
[sandbox.limits]
memory = "512M"
vcpus = 2
)";

TEST_F(BatchCreateTest, EveryJobIsInTheQueueWithWhatItNeeds) {
    auto created = made(kHead + R"(
[pool]
vms = 3
memory = "4G"
[batch]
results = "/srv/results"
[[job]]
name = "build"
[[job]]
name = "test-{{n}}"
needs = ["build"]
priority = 7
retry = { max = 2, on = ["timeout", "exit:75"], backoff = "4s" }
[job.matrix]
n = [1, 2]
[[job]]
name = "report"
needs = ["test-{{n}}", "build"]
)");
    EXPECT_FALSE(created.resumed);
    auto found = batches.find(created.batch.id);
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(*found, created.batch);
    EXPECT_EQ(found->name, "demo");
    EXPECT_EQ(found->file, "the/jobs.toml");
    EXPECT_EQ(found->owner, own_identity());
    EXPECT_EQ(found->status, BatchStatus::running);
    EXPECT_EQ(found->groups, (std::vector<std::string>{"build", "test-{{n}}", "report"}));
    EXPECT_EQ(found->results, "/srv/results");
    EXPECT_EQ(rules_from_json(found->rules)->pool.vms, 3U);

    auto rows = *batches.jobs(found->id);
    ASSERT_EQ(rows.size(), 4U);
    EXPECT_EQ(rows[2].name, "test-2");
    EXPECT_EQ(rows[2].group, 1U);
    EXPECT_EQ(rows[2].needs, "0");
    EXPECT_EQ(rows[2].priority, 7);
    EXPECT_EQ(*retry_from_json(rows[2].retry),
              (manifest::Retry{2, {{"timeout", {}}, {"", 75}}, std::chrono::seconds(4)}));
    EXPECT_EQ(rows[3].needs, "g1 0");
    EXPECT_EQ(rows[0].retry, "") << "the default is not written out";
    EXPECT_EQ(rows[0].memory_mib, 512U);
    EXPECT_EQ(rows[0].vcpus, 2U);
}

TEST_F(BatchCreateTest, StoredManifestOfAJobIsItsSandbox) {
    auto created = made(kHead + "[[job]]\nname = \"build\"\nexec = [\"make\", \"all\"]\nenv = { MODE = \"strict\" }\n");
    auto text = batches.job_manifest(created.batch.id, 0);
    ASSERT_TRUE(text) << text.error().text();
    auto again = manifest::load(request_of(*text));
    ASSERT_TRUE(again) << manifest::render(again.error());
    EXPECT_EQ(again->name, "build");
    EXPECT_EQ(std::get<manifest::Argv>(*again->exec).words, (std::vector<std::string>{"make", "all"}));
    EXPECT_EQ(manifest::to_toml(*again), *text);
}

const std::string kTwo = kHead + "[[job]]\nname = \"a\"\n[[job]]\nname = \"b\"\n";

TEST_F(BatchCreateTest, EqualBatchThatWasInterruptedIsGoneOnWith) {
    auto first = made(kTwo);
    EXPECT_NE(made(kTwo).batch.id, first.batch.id) << "it is driven by a living process";
    ASSERT_TRUE(batches.release(first.batch.id, own_identity(), BatchStatus::interrupted));
    auto again = made(kTwo);
    EXPECT_TRUE(again.resumed);
    EXPECT_EQ(again.batch.id, first.batch.id);
    EXPECT_FALSE(made(kTwo, true).resumed) << "unless it is to begin anew";
}

TEST_F(BatchCreateTest, EqualBatchWhoseProcessDiedIsGoneOnWith) {
    auto first = made(kTwo);
    ProcessIdentity dead = own_identity();
    ++dead.start_ticks;
    ASSERT_TRUE(batches.take(first.batch.id, dead, [](const ProcessIdentity&) { return false; }));
    EXPECT_EQ(made(kTwo).batch.id, first.batch.id);
}

TEST_F(BatchCreateTest, BatchThatIsOverIsNotGoneOnWith) {
    for (auto status : {BatchStatus::succeeded, BatchStatus::failed, BatchStatus::cancelled}) {
        auto first = made(kTwo);
        ASSERT_TRUE(batches.release(first.batch.id, own_identity(), status));
        EXPECT_FALSE(made(kTwo).resumed);
    }
}

TEST_F(BatchCreateTest, AnyDifferenceMakesAnotherBatch) {
    ASSERT_TRUE(batches.release(made(kTwo).batch.id, own_identity(), BatchStatus::interrupted));
    for (const char* change : {"priority = 1", "needs = [\"a\"]", "retry = { max = 1, on = [\"timeout\"] }",
                               "limits = { memory = \"513M\" }", "env = { A = \"1\" }"})
        EXPECT_FALSE(made(kTwo + change).resumed) << change;
    EXPECT_FALSE(made(kTwo + "[pool]\nvms = 2\n").resumed);
    EXPECT_FALSE(made(kTwo + "[batch]\nfail_fast = true\n").resumed);
    EXPECT_TRUE(made("# a comment\n" + kTwo).resumed) << "what is meant counts, not how it is written";
}

TEST_F(BatchCreateTest, WrongManifestIsToldByPlaceAndLeavesNothing) {
    auto created = create(kTwo + "needs = [\"c\"]\nprioritty = 1\n");
    ASSERT_FALSE(created);
    EXPECT_FALSE(created.error().error);
    EXPECT_THAT(manifest::render(created.error().diagnostics), HasSubstr("jobs.toml:"));
    EXPECT_TRUE(batches.list(0)->empty());
}

TEST_F(BatchCreateTest, JobThatFitsIntoNoPoolIsRefusedByName) {
    EXPECT_EQ(refused(kTwo + "limits = { memory = \"3G\" }\n[pool]\nmemory = \"2G\"\n").text(),
              "job b needs 3136 MiB with what its machine takes beside, and pool.memory is 2048 MiB");
    EXPECT_EQ(refused(kTwo + "[pool]\nvcpus = 1\n").text(), "job a needs 2 vcpus, and pool.vcpus is 1");
    size.memory_mib = 512;
    EXPECT_EQ(refused(kTwo).text(),
              "job a needs 576 MiB with what its machine takes beside, and pool.memory is 384 MiB");
}

TEST_F(BatchCreateTest, WhatThisVersionCannotDoIsRefusedForAllJobsAtOnce) {
    auto error = refused(
        kHead + "[[job]]\nname = \"job-{{n}}\"\nsnapshot.setup = [\"true\"]\nmatrix.n = [1, 2, 3, 4, 5, 6, 7]\n");
    EXPECT_EQ(error.code, ErrorCode::unsupported);
    EXPECT_THAT(error.text(), HasSubstr("job job-1: snapshot.setup is not available yet; job job-2: "));
    EXPECT_THAT(error.text(), HasSubstr("job job-5: snapshot.setup is not available yet; and 2 more"));
}

TEST_F(BatchCreateTest, SecretWithoutItsVariableIsRefusedBeforeAnythingRuns) {
    auto error = refused(kTwo + "[job.secrets]\ntoken = { env = \"VMETTE_TEST_NOT_SET\" }\n");
    EXPECT_EQ(error.code, ErrorCode::bad_input);
    EXPECT_EQ(error.text(), "job b: the secret token comes from the variable VMETTE_TEST_NOT_SET, which is not set");
}

TEST_F(BatchCreateTest, QueueThatCannotBeWrittenIsNotTheManifestsFault) {
    auto readable = store::Store::open_read_only(layout.database(), clock);
    ASSERT_TRUE(readable);
    auto request = request_of(kTwo);
    auto created = create_batch(*readable, clock, {request, "jobs.toml", size, false});
    ASSERT_FALSE(created);
    EXPECT_TRUE(created.error().diagnostics.empty());
    ASSERT_TRUE(created.error().error);
    EXPECT_THAT(created.error().error->text(), HasSubstr("attempt to write a readonly database"));
}

TEST_F(BatchCreateTest, TenThousandJobsComeBackEachWithItsOwnManifest) {
    std::string hundred;
    for (int i = 0; i < 100; ++i) hundred += fmt::format("{}{}", i == 0 ? "" : ", ", i);
    auto created = made(kHead + R"(
[[job]]
name = "job-{{a}}-{{b}}"
exec = ["work", "{{a}}", "{{b}}"]
[job.matrix]
)" + fmt::format("a = [{0}]\nb = [{0}]\n", hundred));
    EXPECT_EQ(created.batch.jobs, 10'000U);
    EXPECT_EQ(batches.counts(created.batch.id)->pending, created.batch.jobs);
    auto rows = *batches.jobs(created.batch.id);
    for (std::uint32_t i : {0U, 4'711U, created.batch.jobs - 1})
        EXPECT_THAT(*batches.job_manifest(created.batch.id, i), HasSubstr("name = \"" + rows[i].name + "\""));
}

}  // namespace
}  // namespace vmette::scheduler
