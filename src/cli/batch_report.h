#pragma once
/// A batch's report: one page for people, and JUnit's XML for programs that watch tests.

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "store/batches.h"

namespace vmette::cli {

/// What a report is made of.
struct BatchReport {
    store::BatchRecord batch;
    store::JobCounts counts;
    std::vector<store::JobRecord> jobs;
    std::vector<std::map<std::string, std::string>> labels;  ///< of each of `jobs`
    std::vector<store::RunRecord> attempts;                  ///< by job and attempt
    /// The last lines of what failed jobs wrote, by index of the job; harmless.
    std::vector<std::pair<std::uint32_t, std::string>> last_lines;
    WallTime now{};
};

/// Reads it; of a log only the end is read. At most kMaxLastLines jobs have their last lines in it.
Result<BatchReport> make_report(store::Batches& batches, const store::BatchRecord& batch, WallTime now);
constexpr std::size_t kMaxLastLines = 1000;

/// One self-contained HTML file: nothing in it is fetched from anywhere, and nothing that a guest wrote is markup.
std::string report_html(const BatchReport& report);

/// JUnit XML, as Jenkins and GitLab read it: a suite for the batch, a case for each job.
/// Source of the format: github.com/testmoapp/junitxml.
std::string report_junit(const BatchReport& report);

}  // namespace vmette::cli
