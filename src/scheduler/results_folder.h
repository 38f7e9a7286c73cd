#pragma once
/// The folder that a batch's results go to: one below it for each job.

#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "store/store.h"

namespace vmette::scheduler {

/// A job's folder holds stdout.log, stderr.log, run.json and artifacts/ of its last attempt; those of earlier ones (and
/// of earlier batches) are moved to attempts/<n>/ and never overwritten. A share may give a guest write access to this
/// folder, so nothing in it is trusted: no link is followed and nothing existing is opened for writing.
class ResultsFolder {
public:
    /// Makes it when it is missing, and holds it for this batch alone. Errors: io (not a folder, not writable),
    /// no_space, busy (another batch writes to it now).
    static Result<ResultsFolder> open(const std::filesystem::path& path);

    /// Copies what a finished run left into the folder of its job. Whoever looks sees a whole attempt or none of it:
    /// run.json comes last.
    Result<> put(const std::string& job, const store::RunRecord& run) const;

    /// Moves what an earlier batch left of a job to its attempts/, so that all that is outside of it is of this batch.
    Result<> set_aside(const std::string& job) const;

    /// Whether the folder of the job holds this run as its last attempt.
    bool holds(const std::string& job, const std::string& run_id) const;

private:
    explicit ResultsFolder(Fd folder) : folder_(std::move(folder)) {}
    Fd folder_;
};

}  // namespace vmette::scheduler
