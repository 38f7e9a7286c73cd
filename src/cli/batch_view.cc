#include "cli/batch_view.h"

#include <fcntl.h>

#include <algorithm>

#include "base/text.h"
#include "cli/batch_text.h"
#include "cli/json_writer.h"
#include "cli/table.h"
#include "cli/times.h"

namespace vmette::cli {
namespace {

using scheduler::BatchEvent;
using Kind = BatchEvent::Kind;

constexpr std::size_t kFailuresShown = 3;
constexpr Duration kRedraw{100};
constexpr std::size_t kMostLines = 16;

bool is_failure(store::JobState state) { return state == store::JobState::failed || state == store::JobState::unknown; }

/// "exited 3", "timeout".
std::string why(const BatchEvent& event) {
    std::string text = event.reason;
    if (event.reason == "exited" && event.exit_code) text += fmt::format(" {}", *event.exit_code);
    return text;
}

std::string failure_text(const BatchEvent& event) {
    return fmt::format("{}  {}{}{}  run {}", event.name, why(event), event.text.empty() ? "" : ": ", event.text,
                       event.run_id);
}

}  // namespace

std::string event_json(const std::string& batch_id, const BatchEvent& event) {
    JsonObject out;
    out.text("event", to_string(event.kind)).text("at", format_rfc3339(event.at)).text("batch", batch_id);
    if (event.job) {
        out.text("job", event.name).number("index", *event.job).number("attempt", event.attempt);
        out.text_or_null("run_id", event.run_id);
    }
    if (event.kind == Kind::job_ended || event.kind == Kind::job_retried || event.kind == Kind::job_settled) {
        out.text("state", to_string(event.state)).text_or_null("reason", event.reason);
        out.raw("exit_code", event.exit_code ? fmt::to_string(*event.exit_code) : "null");
        out.number("duration_ms", static_cast<std::uint64_t>(event.duration.count())).boolean("reused", event.reused);
    }
    if (event.kind == Kind::job_retried) out.number("wait_ms", static_cast<std::uint64_t>(event.wait.count()));
    out.text_or_null(event.kind == Kind::job_phase ? "phase" : "message", event.text);
    return out.raw("counts", counts_json(event.counts)).number("window", event.window).render(false);
}

std::string event_line(const BatchEvent& event) {
    switch (event.kind) {
        case Kind::job_ended:
            if (event.state == store::JobState::succeeded)
                return fmt::format("ok         {}  {}{}", event.name, short_duration(event.duration),
                                   event.reused ? "  (reused)" : "");
            return fmt::format("{:<10} {}", to_string(event.state), failure_text(event));
        case Kind::job_retried:
            return fmt::format("again      {}  {}; attempt {} {}", event.name, why(event), event.attempt + 1,
                               event.wait.count() > 0 ? "in " + short_duration(event.wait) : "follows");
        case Kind::job_settled:
            return fmt::format("{:<10} {}{}{}", to_string(event.state), event.name, event.text.empty() ? "" : "  ",
                               event.text);
        case Kind::warning:
            return fmt::format("warning    {}{}{}", event.name, event.name.empty() ? "" : ": ", event.text);
        case Kind::stopping:
            return fmt::format("stopping   {}", event.text);
        case Kind::batch_started:
        case Kind::job_started:
        case Kind::job_phase:
        case Kind::batch_ended:
            break;
    }
    return {};
}

void BatchBoard::hear(const BatchEvent& event) {
    counts_ = event.counts;
    window_ = event.window;
    switch (event.kind) {
        case Kind::batch_started:
            began_ = event.at;
            settled_before_ = settled_jobs(event.counts);
            break;
        case Kind::job_started:
            running_[*event.job] = {event.name, "starting", event.at, event.attempt};
            break;
        case Kind::job_phase:
            if (auto job = running_.find(*event.job); job != running_.end()) job->second.phase = event.text;
            break;
        case Kind::job_ended:
        case Kind::job_retried:
            running_.erase(*event.job);
            reused_ += event.reused ? 1 : 0;
            if (is_failure(event.state)) failures_.push_back(failure_text(event));
            if (failures_.size() > kFailuresShown) failures_.pop_front();
            break;
        case Kind::stopping:
            notice_ = event.text;
            break;
        case Kind::job_settled:
        case Kind::warning:
        case Kind::batch_ended:
            break;
    }
}

std::string BatchBoard::pace_line(WallTime now) const {
    auto elapsed = std::max(now - began_, Duration(1));
    std::string text = fmt::format("{} of {} machines, {}", running_.size(), window_, short_duration(elapsed));
    std::uint32_t done = settled_jobs(counts_) - settled_before_;
    if (done == 0) return text;
    double a_minute = 60'000.0 * done / static_cast<double>(elapsed.count());
    text += fmt::format(", {:.{}f} jobs a minute", a_minute, a_minute < 10 ? 1 : 0);
    std::uint32_t left = counts_.pending + counts_.running;
    if (left == 0) return text;
    auto remaining = static_cast<std::int64_t>(static_cast<double>(elapsed.count()) * left / done);
    return text + fmt::format(", about {} left", short_duration(Duration(remaining)));
}

std::vector<std::string> BatchBoard::lines(WallTime now, std::size_t width, std::size_t height) const {
    std::vector<std::string> out{counts_text(counts_), pace_line(now)};
    if (reused_ > 0) out.front() += fmt::format(", {} of them reused", reused_);
    if (!notice_.empty()) out.push_back(notice_);
    std::size_t fixed = out.size() + failures_.size();
    std::size_t room = height > fixed + 1 ? height - fixed : 1;
    std::vector<const Job*> jobs;
    for (const auto& [index, job] : running_) jobs.push_back(&job);
    std::ranges::sort(jobs, {}, [](const Job* job) { return job->since; });
    std::size_t shown = jobs.size() > room ? room - 1 : jobs.size();
    for (std::size_t i = 0; i < shown; ++i) {
        const Job& job = *jobs[i];
        out.push_back(fmt::format("  {:>6}  {:<9} {}{}", short_duration(std::max(now - job.since, Duration(0))),
                                  job.phase, job.name,
                                  job.attempt > 1 ? fmt::format("  (attempt {})", job.attempt) : ""));
    }
    if (shown < jobs.size()) out.push_back(fmt::format("  and {} more", jobs.size() - shown));
    for (const auto& failure : failures_) out.push_back("  failed: " + failure);
    if (out.size() > height) out.resize(height);
    for (auto& line : out) line = shorten(line, width);
    return out;
}

Result<std::unique_ptr<BatchView>> BatchView::make(Console& console, const Clock& clock, std::string batch_id,
                                                   const std::string& events) {
    std::unique_ptr<BatchView> view(new BatchView(console, clock, std::move(batch_id)));
    if (events.empty()) return view;
    VMETTE_TRY(view->events_, open_file(events, O_WRONLY | O_CREAT | O_APPEND, 0644));
    return view;
}

void BatchView::on_event(const BatchEvent& event) {
    write_event(event);
    board_.hear(event);
    if (console_.quiet()) return;
    std::string line = event_line(event);
    if (line.empty()) return;
    // On a terminal the block shows what goes well.
    if (moves() && event.kind == Kind::job_ended && event.state == store::JobState::succeeded) return;
    clear();
    console_.write_err(line + "\n");
}

void BatchView::on_tick() {
    if (!moves()) return;
    auto now = clock_.monotonic();
    if (drawn_ && now - *drawn_ < kRedraw) return;
    drawn_ = now;
    // What is higher than the screen cannot be taken back.
    std::size_t height = std::min(kMostLines, std::max<std::size_t>(console_.err_height(), 2) - 1);
    auto lines = board_.lines(clock_.now(), std::max<std::size_t>(console_.err_width(), 20) - 1, height);
    clear();
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    console_.write_err(text);
    shown_ = lines.size();
}

void BatchView::clear() {
    if (shown_ == 0) return;
    // Up to the block's first line, and everything from there away.
    console_.write_err(fmt::format("\x1b[{}A\r\x1b[J", shown_));
    shown_ = 0;
    drawn_.reset();
}

void BatchView::write_event(const BatchEvent& event) {
    if (!events_ || events_failed_) return;
    if (auto written = write_all(events_.get(), event_json(batch_id_, event) + "\n"); !written) {
        events_failed_ = true;
        clear();
        console_.warning("the events are not written any more: " + written.error().text());
    }
}

}  // namespace vmette::cli
