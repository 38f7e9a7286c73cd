#pragma once
/// From the tables of a batch to the sandbox of every job.

#include <functional>

#include "manifest/job_names.h"

namespace vmette::manifest {

/// Goes over every job, in order. As long as nothing was wrong, each is handed to `sink`; its first error ends it and
/// comes back. What is the same for all jobs of a table is checked and read once.
Result<> make_jobs(BatchParts& parts, const JobNames& names, BatchLoading& loading,
                   const std::function<Result<>(BatchJob&&)>& sink);

}  // namespace vmette::manifest
