#include "cli/batch_view.h"

#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "base/layout.h"
#include "cli/table.h"
#include "support/manual_clock.h"

namespace vmette::cli {
namespace {

using scheduler::BatchEvent;
using store::JobState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Kind = BatchEvent::Kind;

constexpr WallTime kBegin{std::chrono::milliseconds(1'700'000'000'000)};

WallTime after(int seconds) { return kBegin + std::chrono::seconds(seconds); }

BatchEvent event(Kind kind, WallTime at = kBegin) {
    BatchEvent out{.kind = kind, .at = at};
    out.counts.pending = 10;
    out.window = 4;
    return out;
}

BatchEvent of_job(Kind kind, std::uint32_t job, JobState state = JobState::running, WallTime at = kBegin) {
    auto out = event(kind, at);
    out.job = job;
    out.name = "job-" + std::to_string(job);
    out.attempt = 1;
    out.run_id = "01r" + std::to_string(job);
    out.state = state;
    return out;
}

BatchEvent failed(std::uint32_t job, int code) {
    auto out = of_job(Kind::job_ended, job, JobState::failed);
    out.reason = "exited";
    out.exit_code = code;
    return out;
}

TEST(BatchEventTest, JsonHoldsWhatHappenedAndHowItStands) {
    auto ended = failed(3, 75);
    ended.duration = std::chrono::milliseconds(1234);
    ended.text = "line\n\"quoted\"";
    ended.counts = {1, 2, 3, 4, 5, 6, 7};
    auto line = event_json("01batch", ended);
    EXPECT_EQ(line.find('\n'), line.npos);
    EXPECT_EQ(nlohmann::json::parse(line), nlohmann::json::parse(R"({
        "event": "job_ended", "at": "2023-11-14T22:13:20.000Z", "batch": "01batch", "job": "job-3", "index": 3,
        "attempt": 1, "run_id": "01r3", "state": "failed", "reason": "exited", "exit_code": 75, "duration_ms": 1234,
        "reused": false, "message": "line\n\"quoted\"", "window": 4,
        "counts": {"pending": 1, "running": 2, "succeeded": 3, "failed": 4, "skipped": 5, "cancelled": 6,
                   "unknown": 7}})"));
}

TEST(BatchEventTest, JsonOfOtherEventsHasTheirFieldsAlone) {
    auto started = nlohmann::json::parse(event_json("b", event(Kind::batch_started)));
    EXPECT_FALSE(started.contains("job"));
    EXPECT_FALSE(started.contains("state"));
    EXPECT_TRUE(started.at("message").is_null());
    auto phase = of_job(Kind::job_phase, 1);
    phase.text = "boot";
    EXPECT_EQ(nlohmann::json::parse(event_json("b", phase)).at("phase"), "boot");
    auto retried = of_job(Kind::job_retried, 1, JobState::pending);
    retried.wait = std::chrono::seconds(4);
    EXPECT_EQ(nlohmann::json::parse(event_json("b", retried)).at("wait_ms"), 4000);
    auto settled = of_job(Kind::job_settled, 1, JobState::skipped);
    settled.run_id.clear();
    auto json = nlohmann::json::parse(event_json("b", settled));
    EXPECT_TRUE(json.at("run_id").is_null());
    EXPECT_TRUE(json.at("exit_code").is_null());
}

TEST(BatchEventTest, LinesSayWhatAPersonNeeds) {
    auto good = of_job(Kind::job_ended, 1, JobState::succeeded);
    good.duration = std::chrono::milliseconds(1200);
    EXPECT_EQ(event_line(good), "ok         job-1  1.2s");
    good.reused = true;
    EXPECT_EQ(event_line(good), "ok         job-1  1.2s  (reused)");
    auto bad = failed(2, 3);
    EXPECT_EQ(event_line(bad), "failed     job-2  exited 3  run 01r2");
    bad.reason = "vm-error";
    bad.exit_code.reset();
    bad.text = "QEMU died";
    EXPECT_EQ(event_line(bad), "failed     job-2  vm-error: QEMU died  run 01r2");
    auto again = of_job(Kind::job_retried, 2, JobState::pending);
    again.reason = "timeout";
    EXPECT_EQ(event_line(again), "again      job-2  timeout; attempt 2 follows");
    again.wait = std::chrono::seconds(3);
    EXPECT_EQ(event_line(again), "again      job-2  timeout; attempt 2 in 3.0s");
    auto skipped = of_job(Kind::job_settled, 4, JobState::skipped);
    skipped.text = "needs build, which did not succeed";
    EXPECT_EQ(event_line(skipped), "skipped    job-4  needs build, which did not succeed");
    auto warning = event(Kind::warning);
    warning.text = "low memory";
    EXPECT_EQ(event_line(warning), "warning    low memory");
    for (auto kind : {Kind::batch_started, Kind::job_started, Kind::job_phase, Kind::batch_ended})
        EXPECT_EQ(event_line(of_job(kind, 1)), "");
}

TEST(BatchBoardTest, CountsPaceAndWhatRunsOldestFirst) {
    BatchBoard board;
    board.hear(event(Kind::batch_started));
    board.hear(of_job(Kind::job_started, 7, JobState::running, after(10)));
    auto second = of_job(Kind::job_started, 2, JobState::running, after(30));
    second.attempt = 3;
    board.hear(second);
    auto phase = of_job(Kind::job_phase, 7);
    phase.text = "exec";
    board.hear(phase);
    auto done = of_job(Kind::job_ended, 9, JobState::succeeded);
    done.counts = {.pending = 5, .running = 2, .succeeded = 3};
    board.hear(done);
    EXPECT_THAT(board.lines(after(60), 100, 16),
                ElementsAre("3 of 10 done, 3 ok, 2 running, 5 waiting",
                            "2 of 4 machines, 1m00s, 3.0 jobs a minute, about 2m20s left", "   50.0s  exec      job-7",
                            "   30.0s  starting  job-2  (attempt 3)"));
}

TEST(BatchBoardTest, PaceCountsFromTheResume) {
    BatchBoard board;
    auto resumed = event(Kind::batch_started);
    resumed.counts = {.pending = 10, .succeeded = 90};
    board.hear(resumed);
    auto lines = board.lines(after(60), 100, 16);
    EXPECT_EQ(lines[0], "90 of 100 done, 90 ok, 10 waiting");
    EXPECT_THAT(lines[1], Not(HasSubstr("jobs a minute")));
}

TEST(BatchBoardTest, LastFailuresAndTheReasonToStopAreShown) {
    BatchBoard board;
    board.hear(event(Kind::batch_started));
    for (std::uint32_t job = 0; job < 5; ++job) board.hear(failed(job, 1));
    auto stopping = event(Kind::stopping);
    stopping.text = "a job failed";
    board.hear(stopping);
    auto lines = board.lines(kBegin, 100, 16);
    EXPECT_EQ(lines[2], "a job failed");
    EXPECT_THAT(std::vector(lines.begin() + 3, lines.end()),
                ElementsAre("  failed: job-2  exited 1  run 01r2", "  failed: job-3  exited 1  run 01r3",
                            "  failed: job-4  exited 1  run 01r4"));
}

TEST(BatchBoardTest, NeverHigherOrWiderThanItsRoom) {
    BatchBoard board;
    board.hear(event(Kind::batch_started));
    for (std::uint32_t job = 0; job < 100; ++job) {
        auto started = of_job(Kind::job_started, job, JobState::running, after(static_cast<int>(job)));
        started.name += std::string(job, 'x');
        board.hear(started);
    }
    for (std::uint32_t job = 200; job < 203; ++job) board.hear(failed(job, 1));
    for (std::size_t height = 0; height < 20; ++height)
        for (std::size_t width : {1U, 20U, 60U}) {
            auto lines = board.lines(after(200), width, height);
            EXPECT_LE(lines.size(), height);
            for (const auto& line : lines) EXPECT_LE(display_width(line), width);
        }
    auto lines = board.lines(after(200), 200, 10);
    ASSERT_EQ(lines.size(), 10U);
    EXPECT_THAT(lines[2], HasSubstr("job-0"));
    EXPECT_EQ(lines[6], "  and 96 more");
    EXPECT_THAT(lines[9], StartsWith("  failed: job-202"));
}

struct BatchViewTest : ::testing::Test {
    static std::string drain(int fd) {
        char buffer[65536];
        ssize_t n = ::read(fd, buffer, sizeof buffer);
        return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : std::string();
    }
    std::unique_ptr<BatchView> view(Console& console, const std::string& events = "") {
        return BatchView::make(console, clock, "01batch", events).value();
    }
    TempDir folder = *TempDir::make();
    testing::ManualClock clock;
};

TEST_F(BatchViewTest, PlainLinesWithoutATerminal) {
    auto out = make_pipe().value(), err = make_pipe(true).value();
    Console console(out[1].get(), err[1].get());
    auto shown = view(console);
    shown->on_event(event(Kind::batch_started));
    shown->on_event(of_job(Kind::job_started, 1));
    shown->on_tick();
    shown->on_event(of_job(Kind::job_ended, 1, JobState::succeeded));
    shown->on_event(failed(2, 1));
    shown.reset();
    EXPECT_EQ(drain(err[0].get()), "ok         job-1  0ms\nfailed     job-2  exited 1  run 01r2\n");
}

TEST_F(BatchViewTest, QuietSaysNothingAndWritesEvents) {
    auto out = make_pipe().value(), err = make_pipe(true).value();
    Console console(out[1].get(), err[1].get());
    console.set_quiet(true);
    auto path = folder.path() / "events.jsonl";
    for (int round = 0; round < 2; ++round) {
        auto shown = view(console, path);
        shown->on_event(event(Kind::batch_started));
        shown->on_event(failed(2, 1));
    }
    EXPECT_EQ(drain(err[0].get()), "");
    auto text = read_file(path, 1 << 20).value();
    EXPECT_EQ(std::ranges::count(text, '\n'), 4) << "what was there stays";
    EXPECT_EQ(nlohmann::json::parse(text.substr(0, text.find('\n'))).at("event"), "batch_started");
}

TEST_F(BatchViewTest, EventsThatCannotBeWrittenAreSaidOnce) {
    auto out = make_pipe().value(), err = make_pipe(true).value();
    Console console(out[1].get(), err[1].get());
    auto shown = view(console, "/dev/full");
    for (int i = 0; i < 3; ++i) shown->on_event(event(Kind::batch_started));
    auto said = drain(err[0].get());
    EXPECT_THAT(said, StartsWith("vmette: warning: the events are not written any more: "));
    EXPECT_EQ(std::ranges::count(said, '\n'), 1);
}

TEST_F(BatchViewTest, FileOfEventsThatCannotBeOpenedIsAnErrorBeforeAnythingRuns) {
    auto out = make_pipe().value(), err = make_pipe().value();
    Console console(out[1].get(), err[1].get());
    auto made = BatchView::make(console, clock, "01batch", folder.path() / "missing" / "events.jsonl");
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().text(), HasSubstr("events.jsonl: No such file or directory"));
}

TEST_F(BatchViewTest, BlockOnATerminalIsTakenBackBeforeItIsDrawnAgain) {
    int master = -1, slave = -1;
    winsize size{.ws_row = 6, .ws_col = 40, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, &size), 0);
    Fd screen(master), terminal(slave);
    auto out = make_pipe().value();
    Console console(out[1].get(), terminal.get());
    auto shown = view(console);
    shown->on_event(event(Kind::batch_started));
    for (std::uint32_t job = 0; job < 30; ++job) shown->on_event(of_job(Kind::job_started, job));
    shown->on_tick();
    auto first = drain(screen.get());
    EXPECT_EQ(std::ranges::count(first, '\n'), 5) << "lower than the screen";
    EXPECT_THAT(first, Not(HasSubstr("\x1b[")));
    shown->on_tick();
    clock.advance(std::chrono::milliseconds(100));
    shown->on_tick();
    auto second = drain(screen.get());
    EXPECT_THAT(second, StartsWith("\x1b[5A\r\x1b[J0 of 10 done")) << "once, as the time of the first had not come";
    shown->on_event(of_job(Kind::job_ended, 1, JobState::succeeded));
    shown->on_event(failed(2, 1));
    EXPECT_EQ(drain(screen.get()), "\x1b[5A\r\x1b[Jfailed     job-2  exited 1  run 01r2\r\n");
    shown.reset();
}

}  // namespace
}  // namespace vmette::cli
