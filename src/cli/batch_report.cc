#include "cli/batch_report.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/fd.h"
#include "base/text.h"
#include "cli/batch_text.h"
#include "cli/json_writer.h"
#include "scheduler/stored_job.h"

namespace vmette::cli {

/// report_page.html, with `__DATA__` where the data go (embedded by CMake).
extern const char* const kReportPage;

namespace {

constexpr std::size_t kTailBytes = 4096;
constexpr std::size_t kTailLines = 12;

/// The last lines of a file, each harmless; empty when it is not there.
std::string tail_of(const std::string& path) {
    if (path.empty()) return {};
    auto file = open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    struct stat status{};
    if (!file || ::fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    std::string bytes(kTailBytes, '\0');
    off_t start = std::max<off_t>(0, status.st_size - static_cast<off_t>(kTailBytes));
    ssize_t n = ::pread(file->get(), bytes.data(), bytes.size(), start);
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    while (bytes.ends_with('\n')) bytes.pop_back();
    std::vector<std::string> lines;
    for (std::size_t end = bytes.size(); lines.size() < kTailLines && end > 0;) {
        auto newline = bytes.rfind('\n', end - 1);
        std::size_t begin = newline == bytes.npos ? 0 : newline + 1;
        lines.push_back(harmless_line(bytes.substr(begin, end - begin)));
        if (newline == bytes.npos) break;
        end = newline;
    }
    std::ranges::reverse(lines);
    return fmt::format("{}", fmt::join(lines, "\n"));
}

bool did_fail(const store::JobRecord& job) {
    return job.state == store::JobState::failed || job.state == store::JobState::unknown;
}

std::int64_t ms(WallTime time) { return time.time_since_epoch().count(); }

std::string optional_ms(const std::optional<WallTime>& time) { return time ? fmt::to_string(ms(*time)) : "null"; }

/// [index, begin, end or null, status, reason]
std::string attempt_json(std::uint32_t index, const store::RunRecord& run) {
    return fmt::format("[{},{},{},{},{}]", index, ms(run.created_at), optional_ms(run.finished_at),
                       json_string(to_string(run.status)), json_string(run.reason));
}

std::string labels_json(const std::map<std::string, std::string>& labels) {
    JsonObject out;
    for (const auto& [key, value] : labels) out.text(key, value);
    return out.render(false);
}

/// A job has the labels of its runs; one that has none, or took the result of another, those of its manifest.
Result<> read_labels(store::Batches& batches, BatchReport& report) {
    std::map<std::string_view, const store::RunRecord*> by_job;
    for (const auto& run : report.attempts) by_job[run.job] = &run;
    for (const auto& job : report.jobs) {
        if (auto found = by_job.find(job.name); found != by_job.end()) {
            report.labels.push_back(found->second->labels);
            continue;
        }
        VMETTE_TRY(auto sandbox, scheduler::stored_sandbox(batches, report.batch.id, job.index));
        report.labels.push_back(std::move(sandbox.labels));
    }
    return {};
}

/// In a script element only "</" and "<!--" could end the data: without "<" there is neither.
std::string without_markup(std::string json) {
    std::string out;
    out.reserve(json.size());
    for (char c : json) {
        if (c == '<')
            out += "\\u003c";
        else
            out += c;
    }
    return out;
}

std::string report_data(const BatchReport& report) {
    std::string jobs, attempts, tails;
    auto add = [](std::string& list, const std::string& value) {
        if (!list.empty()) list += ",\n";
        list += value;
    };
    // Attempts come by job's name within the batch; jobs are found by it.
    std::vector<std::pair<std::string_view, std::uint32_t>> by_name;
    for (const auto& job : report.jobs) by_name.emplace_back(job.name, job.index);
    std::ranges::sort(by_name);
    for (const auto& run : report.attempts) {
        auto found = std::ranges::lower_bound(by_name, std::string_view(run.job), {},
                                              &std::pair<std::string_view, std::uint32_t>::first);
        if (found == by_name.end() || found->first != run.job) continue;
        add(attempts, attempt_json(found->second, run));
    }
    for (std::size_t i = 0; i < report.jobs.size(); ++i) {
        std::string json = job_json(report.batch, report.jobs[i]);
        json.pop_back();
        add(jobs, json + ",\"labels\":" + labels_json(report.labels[i]) + "}");
    }
    for (const auto& [index, text] : report.last_lines) add(tails, fmt::format("\"{}\":{}", index, json_string(text)));
    return fmt::format("{{\"batch\":{},\"now\":{},\n\"jobs\":[{}],\n\"attempts\":[{}],\n\"tails\":{{{}}}}}",
                       batch_json(report.batch, report.counts), ms(report.now), jobs, attempts, tails);
}

/// Text of an XML document: markup escaped, and what XML 1.0 has no place for left out.
std::string xml(std::string_view text) {
    std::string out;
    const std::string shown = harmless(text);
    for (std::size_t i = 0; i < shown.size(); ++i) {
        // U+FFFE and U+FFFF are no characters of XML 1.0.
        if (std::string_view rest(shown.data() + i, shown.size() - i);
            rest.starts_with("\xEF\xBF\xBE") || rest.starts_with("\xEF\xBF\xBF")) {
            out += "\xEF\xBF\xBD";
            i += 2;
            continue;
        }
        const char c = shown[i];
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += c;
        }
    }
    return out;
}

double seconds_of(const store::JobRecord& job, WallTime now) {
    if (!job.started_at) return 0;
    auto end = job.finished_at.value_or(now);
    return std::max(0.0, std::chrono::duration<double>(end - *job.started_at).count());
}

std::string junit_case(const BatchReport& report, const store::JobRecord& job, std::string_view tail) {
    std::string group = job.group < report.batch.groups.size() ? report.batch.groups[job.group] : "";
    std::string out = fmt::format("    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3f}\"", xml(job.name),
                                  xml(group), seconds_of(job, report.now));
    std::string message = job.reason;
    if (job.exit_code) message += fmt::format(" {}", *job.exit_code);
    if (!job.detail.empty()) message += ": " + job.detail;
    switch (job.state) {
        case store::JobState::succeeded:
            if (!job.reused) return out + "/>\n";
            return out + fmt::format(
                             "><properties><property name=\"reused_run\" value=\"{}\"/></properties>"
                             "</testcase>\n",
                             xml(job.run_id));
        case store::JobState::failed:
            return out + fmt::format("><failure message=\"{}\" type=\"{}\">{}</failure></testcase>\n", xml(message),
                                     xml(job.reason), xml(tail));
        case store::JobState::unknown:
            return out + fmt::format("><error message=\"{}\" type=\"{}\">{}</error></testcase>\n", xml(message),
                                     xml(job.reason), xml(tail));
        case store::JobState::pending:
        case store::JobState::running:
        case store::JobState::skipped:
        case store::JobState::cancelled:
            break;
    }
    return out + fmt::format("><skipped message=\"{}\"/></testcase>\n",
                             xml(message.empty() ? std::string(to_string(job.state)) : message));
}

}  // namespace

Result<BatchReport> make_report(store::Batches& batches, const store::BatchRecord& batch, WallTime now) {
    BatchReport report{
        .batch = batch, .counts = {}, .jobs = {}, .labels = {}, .attempts = {}, .last_lines = {}, .now = now};
    VMETTE_TRY(auto shown, shown_jobs(batches, batch, now));
    report.counts = shown.counts;
    report.jobs = std::move(shown.jobs);
    VMETTE_TRY(report.attempts, batches.attempts(batch.id));
    std::vector<std::pair<std::string_view, const store::RunRecord*>> by_id;
    for (const auto& run : report.attempts) by_id.emplace_back(run.id, &run);
    std::ranges::sort(by_id, {}, &std::pair<std::string_view, const store::RunRecord*>::first);
    VMETTE_CHECK_OK(read_labels(batches, report));
    for (const auto& job : report.jobs) {
        if (!did_fail(job) || report.last_lines.size() == kMaxLastLines) continue;
        auto found = std::ranges::lower_bound(by_id, std::string_view(job.run_id), {},
                                              &std::pair<std::string_view, const store::RunRecord*>::first);
        if (found == by_id.end() || found->first != job.run_id) continue;
        std::string text = tail_of(found->second->log_stderr);
        if (text.empty()) text = tail_of(found->second->log_stdout);
        report.last_lines.emplace_back(job.index, std::move(text));
    }
    return report;
}

std::string report_html(const BatchReport& report) {
    constexpr std::string_view kMark = "__DATA__";
    std::string page = kReportPage;
    auto at = page.find(kMark);
    return page.replace(at, kMark.size(), without_markup(report_data(report)));
}

std::string report_junit(const BatchReport& report) {
    const auto& counts = report.counts;
    double whole = 0;
    std::string cases;
    auto tail = report.last_lines.begin();
    for (const auto& job : report.jobs) {
        whole += seconds_of(job, report.now);
        std::string_view text;
        if (tail != report.last_lines.end() && tail->first == job.index) text = (tail++)->second;
        cases += junit_case(report, job, text);
    }
    std::string numbers = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3f}\"",
                                      report.jobs.size(), counts.failed, counts.unknown,
                                      counts.skipped + counts.cancelled + counts.pending + counts.running, whole);
    return fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{0}\" {1}>\n"
        "  <testsuite name=\"{0}\" timestamp=\"{2}\" {1}>\n{3}  </testsuite>\n</testsuites>\n",
        xml(report.batch.name), numbers, format_rfc3339(report.batch.created_at), cases);
}

}  // namespace vmette::cli
