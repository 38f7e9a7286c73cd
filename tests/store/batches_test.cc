#include "store/batches.h"

#include <gmock/gmock.h>

#include "store/batches_fixture.h"

namespace vmette::store {
namespace {

using ::testing::HasSubstr;

/// Every field set, to a value of its own.
BatchRecord full_batch() {
    BatchRecord batch = new_batch("01full", 1, "evaluation");
    batch.status = BatchStatus::interrupted;
    batch.created_at = instant(5);
    batch.finished_at = instant(9);
    batch.file = "jobs.toml";
    batch.manifest = "name = \"evaluation\"\n";
    batch.manifest_digest = "sha256:aa";
    batch.rules = R"({"vms":4})";
    batch.results = "/srv/results";
    batch.groups = {"build", "test-{n}", "größe"};
    batch.owner = process(7);
    return batch;
}

JobRecord full_job() {
    JobRecord job = new_job(0);
    job.name = "build";
    job.group = 2;
    job.priority = -5;
    job.needs = "0 g1 g2";
    job.retry = R"({"max":3})";
    job.cache = true;
    job.memory_mib = 512;
    job.vcpus = 3;
    job.scratch_mib = 8192;
    job.state = JobState::unknown;
    job.attempts = 4;
    job.not_before = instant(100);
    job.reason = "lost";
    job.exit_code = -1;
    job.run_id = "01run";
    job.detail = "its process died";
    job.started_at = instant(50);
    job.finished_at = instant(60);
    return job;
}

TEST_F(BatchesTest, BatchAndJobsComeBackAsTheyWereWritten) {
    auto writer = value_of(batches().create("01full"));
    ASSERT_OK(writer.add(full_job(), "exec = \"true\"\n"));
    ASSERT_OK(writer.commit(full_batch()));
    EXPECT_EQ(value_of(batches().find("01full")), full_batch());
    EXPECT_EQ(value_of(batches().jobs("01full")), std::vector{full_job()});
    EXPECT_EQ(value_of(batches().job_manifest("01full", 0)), "exec = \"true\"\n");
    BatchRecord listed = full_batch();
    listed.manifest.clear();
    EXPECT_EQ(value_of(batches().list(0)), std::vector{listed});
}

TEST_F(BatchesTest, NothingIsThereUntilItIsCommittedAndOthersNeedNotWait) {
    {
        auto writer = value_of(batches().create("01a"));
        for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_OK(writer.add(new_job(i), job_text(i)));
        // The store is used meanwhile, by this process and by others.
        EXPECT_TRUE(value_of(batches().list(0)).empty());
        ASSERT_OK(store().insert_run(new_run("01r")));
        auto other = Store::open(path(), clock_, std::chrono::milliseconds(0));
        ASSERT_OK(other);
        ASSERT_OK(other->insert_run(new_run("01s")));
    }
    EXPECT_TRUE(value_of(batches().list(0)).empty());
    EXPECT_EQ(batches().jobs("01a").error().text(), "the history has no batch 01a");
}

TEST_F(BatchesTest, EveryJobHasItsOwnManifest) {
    constexpr std::uint32_t kJobs = 300;
    auto text = [](std::uint32_t i) {
        // Now and then one that has nothing in common with the others, or nothing at all.
        if (i % 100 == 50) return std::string(i, 'x') + "ü";
        return i % 100 == 60 ? std::string() : job_text(i);
    };
    auto writer = value_of(batches().create("01a"));
    for (std::uint32_t i = 0; i < kJobs; ++i) ASSERT_OK(writer.add(new_job(i), text(i)));
    ASSERT_OK(writer.commit(new_batch("01a", kJobs)));
    for (std::uint32_t i = 0; i < kJobs; ++i) ASSERT_EQ(value_of(batches().job_manifest("01a", i)), text(i)) << i;
    EXPECT_EQ(batches().job_manifest("01a", kJobs).error().text(), "batch 01a has no manifest of a job 300");
}

TEST_F(BatchesTest, JobsOutOfOrderAndCountsThatDoNotFitAreRefused) {
    auto writer = value_of(batches().create("01a"));
    EXPECT_EQ(writer.add(new_job(1), "").error().code, ErrorCode::internal);
    ASSERT_OK(writer.add(new_job(0), ""));
    EXPECT_EQ(writer.commit(new_batch("01a", 2)).error().text(), "batch 01a of 2 jobs was begun as 01a and has 1");
    EXPECT_EQ(writer.commit(new_batch("01b", 1)).error().code, ErrorCode::internal);
    ASSERT_OK(writer.commit(new_batch("01a", 1)));
    EXPECT_EQ(writer.commit(new_batch("01a", 1)).error().text(), "the history already has a batch 01a");
    EXPECT_EQ(value_of(batches().list(0)).size(), 1u);
}

TEST_F(BatchesTest, JobsOfOneNameAreRefusedWhole) {
    auto writer = value_of(batches().create("01a"));
    for (std::uint32_t i : {0u, 1u}) {
        JobRecord job = new_job(i);
        job.name = "same";
        ASSERT_OK(writer.add(job, ""));
    }
    EXPECT_THAT(writer.commit(new_batch("01a", 2)).error().text(), HasSubstr("UNIQUE constraint failed"));
    EXPECT_TRUE(value_of(batches().list(0)).empty());
}

TEST_F(BatchesTest, BatchWithoutJobsIsWritten) {
    ASSERT_OK(write_batch(batches(), new_batch("01a", 0)));
    EXPECT_TRUE(value_of(batches().jobs("01a")).empty());
    EXPECT_EQ(value_of(batches().counts("01a")), JobCounts{});
}

TEST_F(BatchesTest, FoundByIdThenByNewestNameThenByBeginning) {
    for (int i = 0; i < 7; ++i) {
        auto batch = new_batch(fmt::format("01ab{}", i), 0, i < 6 ? "nightly" : "01ab3");
        batch.created_at = instant(i == 2 ? 99 : i);
        ASSERT_OK(write_batch(batches(), batch));
    }
    EXPECT_EQ(value_of(batches().find("01AB0")).id, "01ab0");
    EXPECT_EQ(value_of(batches().find("nightly")).id, "01ab2");
    EXPECT_EQ(value_of(batches().find("01ab3")).id, "01ab3");
    EXPECT_EQ(batches().find("01a").error().text(),
              "\"01a\" is the beginning of several ids: 01ab6, 01ab5, 01ab4, 01ab3, 01ab2, …");
    auto unknown = batches().find("02\x1b[31m");
    EXPECT_EQ(unknown.error().code, ErrorCode::not_found);
    EXPECT_EQ(unknown.error().text(), "no batch has the id or the name \"02\\x1b[31m\"");
    EXPECT_EQ(batches().find("").error().code, ErrorCode::bad_input);
}

TEST_F(BatchesTest, ListIsNewestFirst) {
    for (int i = 0; i < 5; ++i) {
        auto batch = new_batch(fmt::format("01{}", i), 0);
        batch.created_at = instant(i == 1 ? 50 : i);
        ASSERT_OK(write_batch(batches(), batch));
    }
    std::vector<std::string> ids;
    for (const auto& batch : value_of(batches().list(3))) ids.push_back(batch.id);
    EXPECT_EQ(ids, (std::vector<std::string>{"011", "014", "013"}));
    EXPECT_EQ(value_of(batches().list(0)).size(), 5u);
}

TEST_F(BatchesTest, JobsByStateNameAndNumber) {
    ASSERT_OK(write_batch(batches(), new_batch("01a", 10)));
    ASSERT_OK(write_batch(batches(), new_batch("01b", 10)));
    std::vector<JobChange> changes(4);
    for (std::uint32_t i = 0; i < 4; ++i)
        changes[i] = {.index = 9 - i, .state = i < 3 ? JobState::failed : JobState::skipped, .attempts = 1};
    ASSERT_OK(batches().apply("01a", own_identity(), changes, false));
    auto indexes = [&](const JobFilter& filter) {
        std::vector<std::uint32_t> out;
        for (const auto& job : value_of(batches().jobs("01a", filter))) out.push_back(job.index);
        return out;
    };
    EXPECT_EQ(indexes({.state = JobState::failed}), (std::vector<std::uint32_t>{7, 8, 9}));
    EXPECT_EQ(indexes({.state = JobState::failed, .limit = 2}), (std::vector<std::uint32_t>{7, 8}));
    EXPECT_EQ(indexes({.name = "job-3"}), (std::vector<std::uint32_t>{3}));
    EXPECT_EQ(indexes({.state = JobState::failed, .name = "job-3"}), std::vector<std::uint32_t>{});
    EXPECT_EQ(indexes({.limit = 1}), (std::vector<std::uint32_t>{0}));
    JobCounts expected;
    expected.pending = 6;
    expected.failed = 3;
    expected.skipped = 1;
    EXPECT_EQ(value_of(batches().counts("01a")), expected);
}

TEST_F(BatchesTest, AttemptsAreInOrderOfJobAndTry) {
    auto attempt = [&](const std::string& id, const std::string& batch, const std::string& job, std::uint32_t number) {
        RunRecord run = full_run(id);
        run.batch = batch;
        run.job = job;
        run.attempt = number;
        ASSERT_OK(store().insert_run(run));
    };
    attempt("01a", "b1", "job-2", 1);
    attempt("01b", "b1", "job-1", 2);
    attempt("01c", "b1", "job-1", 1);
    attempt("01d", "b2", "job-1", 1);
    std::vector<std::string> ids;
    for (const auto& run : value_of(batches().attempts("b1"))) ids.push_back(run.id);
    EXPECT_EQ(ids, (std::vector<std::string>{"01c", "01b", "01a"}));
    auto one = value_of(batches().attempts("b1", "job-2"));
    ASSERT_EQ(one.size(), 1u);
    EXPECT_EQ(one[0].manifest, "");
    EXPECT_EQ(one[0].labels, full_run("x").labels);
    EXPECT_TRUE(value_of(batches().attempts("b3")).empty());
}

TEST_F(BatchesTest, NoBatchIsSaidByEveryCall) {
    const Error none = fail(ErrorCode::not_found, "the history has no batch 01a").error();
    auto said = [&](const Error& error) { return error.code == none.code && error.text() == none.text(); };
    EXPECT_TRUE(said(batches().jobs("01a").error()));
    EXPECT_TRUE(said(batches().counts("01a").error()));
    EXPECT_TRUE(said(batches().job_manifest("01a", 0).error()));
    EXPECT_TRUE(said(batches().take("01a", own_identity(), nobody_lives).error()));
    EXPECT_TRUE(said(batches().release("01a", own_identity(), BatchStatus::failed).error()));
    EXPECT_TRUE(said(batches().apply("01a", own_identity(), {}, true).error()));
    EXPECT_TRUE(said(batches().request_cancel("01a", std::nullopt).error()));
    EXPECT_TRUE(said(batches().take_cancel_requests("01a").error()));
}

TEST_F(BatchesTest, NamesOfStatesAreReadBack) {
    using enum JobState;
    for (auto state : {pending, running, succeeded, failed, skipped, cancelled, unknown}) {
        EXPECT_EQ(parse_job_state(to_string(state)), state);
        JobCounts counts;
        counts.of(state) = 1;
        EXPECT_NE(counts, JobCounts{});
    }
    for (auto status : {BatchStatus::running, BatchStatus::succeeded, BatchStatus::failed, BatchStatus::interrupted,
                        BatchStatus::cancelled})
        EXPECT_EQ(parse_batch_status(to_string(status)), status);
    EXPECT_FALSE(parse_job_state("asleep"));
    EXPECT_FALSE(parse_batch_status(""));
}

class HostileRowsTest : public BatchesTest {
protected:
    void SetUp() override {
        BatchesTest::SetUp();
        ASSERT_OK(write_batch(batches(), new_batch("01a", 3)));
    }
    void expect_damage(const Error& error, const std::string& detail) {
        EXPECT_EQ(error.code, ErrorCode::io) << error.text();
        EXPECT_THAT(error.text(), HasSubstr("is damaged or not a vmette database (" + detail)) << error.text();
    }
};

TEST_F(HostileRowsTest, JobsThatNoVmetteWritesAreErrors) {
    const std::pair<std::string, std::string> cases[] = {
        {"state = 'asleep'", "a job has an unknown state"},
        {"memory_mib = -1", "a value of column memory_mib makes no sense"},
        {"vcpus = 1 << 40", "a value of column vcpus makes no sense"},
        {"attempts = -3", "a value of column attempts makes no sense"},
        {"priority = 1 << 31", "a value of column priority makes no sense"},
        {"cache = 2", "a value of column cache makes no sense"},
        {"not_before = 9223372036854775807", "a value of column not_before makes no sense"},
        {"position = -1", "a value of column position makes no sense"},
        {"position = 3", "job 3 is beyond its batch"},
        {"job_group = 1", "job 1 is beyond its batch"},
        {"job_group = 4294967295", "job 1 is beyond its batch"},
        {"needs = '3'", "the needs of job 1 make no sense"},
        {"needs = '0 g1'", "the needs of job 1 make no sense"},
        {"needs = '0  2'", "the needs of job 1 make no sense"},
        {"needs = '-1'", "the needs of job 1 make no sense"},
        {"needs = '99999999999999999999'", "the needs of job 1 make no sense"},
        {"needs = 'zero'", "the needs of job 1 make no sense"},
        {"needs = printf('%.*c', 9000000, '0')", "job 1 has too many needs"},
    };
    for (const auto& [change, detail] : cases) {
        run_sql("CREATE TABLE kept AS SELECT * FROM batch_jobs; UPDATE batch_jobs SET " + change +
                " WHERE position = 1");
        auto jobs = batches().jobs("01a");
        run_sql("DELETE FROM batch_jobs; INSERT INTO batch_jobs SELECT * FROM kept; DROP TABLE kept");
        ASSERT_FALSE(jobs) << change;
        expect_damage(jobs.error(), detail);
    }
    ASSERT_OK(batches().jobs("01a"));
}

TEST_F(HostileRowsTest, CountsOfUnknownStatesAreErrors) {
    run_sql("UPDATE batch_jobs SET state = x'ff' || 'pending'");
    expect_damage(batches().counts("01a").error(), "a job has an unknown state");
}

TEST_F(HostileRowsTest, BatchesThatNoVmetteWritesAreErrors) {
    const std::pair<std::string, std::string> cases[] = {
        {"status = 'resting'", "a batch has an unknown status"},
        {"jobs = -1", "a value of column jobs makes no sense"},
        {"created_at = -9223372036854775808", "a value of column created_at makes no sense"},
        {"owner_start_ticks = -1", "a value of column owner_start_ticks makes no sense"},
    };
    for (const auto& [change, detail] : cases) {
        run_sql("CREATE TABLE kept AS SELECT * FROM batches; UPDATE batches SET " + change);
        auto found = batches().find("01a");
        auto listed = batches().list(0);
        auto taken = batches().take("01a", own_identity(), nobody_lives);
        run_sql("DELETE FROM batches; INSERT INTO batches SELECT * FROM kept; DROP TABLE kept");
        ASSERT_FALSE(found || listed || taken) << change;
        for (const auto& error : {found.error(), listed.error(), taken.error()}) expect_damage(error, detail);
    }
    ASSERT_OK(batches().find("01a"));
}

TEST_F(HostileRowsTest, ManifestsThatDoNotFitTheirBaseAreErrors) {
    for (const char* change : {"head = 100000", "tail = 100000", "head = 9223372036854775807, tail = 2"}) {
        run_sql(fmt::format("UPDATE job_manifests SET {}", change));
        expect_damage(batches().job_manifest("01a", 1).error(), "the manifest of job 1 is not whole");
    }
    run_sql("UPDATE job_manifests SET head = -1");
    expect_damage(batches().job_manifest("01a", 1).error(), "a value of column head makes no sense");
    run_sql("DELETE FROM job_manifest_bases");
    EXPECT_EQ(batches().job_manifest("01a", 1).error().text(), "batch 01a has no manifest of a job 1");
}

TEST_F(HostileRowsTest, ChangeOfAJobWhoseRowIsGoneChangesNothing) {
    run_sql("DELETE FROM batch_jobs WHERE position = 1");
    const JobChange changes[] = {{.index = 0, .state = JobState::failed}, {.index = 1, .state = JobState::failed}};
    expect_damage(batches().apply("01a", own_identity(), changes, true).error(), "a batch lacks its job 1");
    EXPECT_EQ(job("01a", 0).state, JobState::pending);
}

}  // namespace
}  // namespace vmette::store
