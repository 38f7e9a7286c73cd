/// The report of a batch whose jobs ended in every way, made from a real queue.

#include "cli/batch_report.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/layout.h"
#include "cli/batch_text.h"
#include "scheduler/batch_create.h"

namespace vmette::cli {
namespace {

using Json = nlohmann::json;
using store::JobState;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kManifest = R"(schema = 1
name = "demo"
[sandbox]
rootfs = "./rootfs"
[[job]]
name = "job-{{n}}"
exec = "true"
labels.suite = "{{suite}}"
[job.matrix]
n = [1, 2, 3]
suite = ["</script><script>"]
)";

struct BatchReportTest : testing::Test {
    BatchReportTest() {
        manifest::LoadRequest request;
        request.sources.push_back({.name = "jobs.toml", .folder = "/proj", .text = kManifest});
        request.environment = [](const std::string&) { return std::nullopt; };
        request.check_host = false;
        auto made = scheduler::create_batch(store, clock, {request, "jobs.toml", {16'384, 4}});
        if (!made) throw std::runtime_error(manifest::render(made.error().diagnostics));
        batch = made->batch;
    }
    void apply(std::initializer_list<store::JobChange> changes) {
        ASSERT_TRUE(batches.apply(batch.id, own_identity(), std::vector(changes), false));
    }
    store::RunRecord run_of(const std::string& job, store::RunStatus status, const std::string& reason) {
        store::RunRecord run;
        run.id = fmt::format("{:0>26}", job);
        run.batch = batch.id;
        run.job = job;
        run.created_at = clock.now();
        run.labels = {{"suite", "</script><script>"}};
        run.owner = own_identity();
        EXPECT_TRUE(store.insert_run(run));
        run.status = status;
        run.reason = reason;
        run.finished_at = clock.now();
        EXPECT_TRUE(store.update_run(run));
        return run;
    }
    BatchReport report() {
        auto made = make_report(batches, *batches.find(batch.id), clock.now());
        if (!made) throw std::runtime_error(made.error().text());
        return *std::move(made);
    }
    /// What the page's script reads.
    static Json data_of(const std::string& page) {
        const std::string mark = "id=\"data\">";
        auto from = page.find(mark) + mark.size();
        return Json::parse(page.substr(from, page.find("</script>", from) - from));
    }

    TempDir folder = *TempDir::make();
    SystemClock clock;
    store::Store store = *store::Store::open(folder.path() / "vmette.db", clock);
    store::Batches batches{store};
    store::BatchRecord batch;
};

TEST_F(BatchReportTest, JobsThatNeverRanHaveTheirLabelsToo) {
    auto run = run_of("job-1", store::RunStatus::succeeded, "exited");
    apply({{.index = 0,
            .state = JobState::succeeded,
            .attempts = 1,
            .reason = "exited",
            .exit_code = 0,
            .run_id = run.id,
            .at = clock.now()},
           {.index = 1,
            .state = JobState::cancelled,
            .reason = "cancelled",
            .detail = "the batch was cancelled",
            .at = clock.now()},
           {.index = 2,
            .state = JobState::succeeded,
            .reason = "exited",
            .exit_code = 0,
            .run_id = "earlier",
            .at = clock.now(),
            .reused = true}});
    auto page = report_html(report());
    auto data = data_of(page);
    ASSERT_EQ(data["jobs"].size(), 3U);
    for (const auto& job : data["jobs"]) EXPECT_EQ(job["labels"]["suite"], "</script><script>") << job;
    EXPECT_EQ(data["attempts"].size(), 1U);
    EXPECT_THAT(page, Not(HasSubstr("</script><script>")));
}

TEST_F(BatchReportTest, JunitCountsEveryJobOnce) {
    auto run = run_of("job-1", store::RunStatus::failed, "timeout");
    apply({{.index = 0,
            .state = JobState::failed,
            .attempts = 1,
            .reason = "timeout",
            .run_id = run.id,
            .at = clock.now()},
           {.index = 1,
            .state = JobState::skipped,
            .reason = "skipped",
            .detail = "needs <job-1>, which failed",
            .at = clock.now()}});
    auto xml = report_junit(report());
    EXPECT_THAT(xml, HasSubstr("<testsuite name=\"demo\""));
    EXPECT_THAT(xml, HasSubstr("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"2\""));
    EXPECT_THAT(xml, HasSubstr("<failure message=\"timeout\" type=\"timeout\">"));
    EXPECT_THAT(xml, HasSubstr("<skipped message=\"skipped: needs &lt;job-1&gt;, which failed\"/>"));
}

TEST_F(BatchReportTest, BatchWhoseSchedulerDiedShowsWhatAResumeWouldFind) {
    run_of("job-1", store::RunStatus::succeeded, "exited");
    run_of("job-2", store::RunStatus::lost, "lost");
    apply({{.index = 0, .state = JobState::running, .attempts = 1, .run_id = "a", .at = clock.now()},
           {.index = 1, .state = JobState::running, .attempts = 1, .run_id = "b", .at = clock.now()},
           {.index = 2, .state = JobState::running, .attempts = 1, .run_id = "c", .at = clock.now()}});
    auto dead = batch;
    dead.owner.pid = 0;
    auto shown = *shown_jobs(batches, dead, clock.now());
    EXPECT_EQ(shown.jobs[0].state, JobState::succeeded);
    EXPECT_TRUE(shown.jobs[0].finished_at);
    EXPECT_EQ(shown.jobs[1].state, JobState::pending) << "its command had not begun";
    EXPECT_EQ(shown.jobs[2].state, JobState::pending) << "its run never came to be";
    EXPECT_EQ(shown.jobs[2].attempts, 0U);
    EXPECT_EQ(shown.counts.pending, 2U);
    EXPECT_EQ(shown.counts.running, 0U);
    EXPECT_EQ(shown_jobs(batches, batch, clock.now())->counts.running, 3U) << "this process drives it";
}

}  // namespace
}  // namespace vmette::cli
