#pragma once
/// From a batch manifest to its jobs: templates, matrices and files of jobs expanded, every job a validated sandbox.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "manifest/load.h"

namespace vmette::manifest {

/// What is tried again: a reason of the specification's table, or an exit code of the command.
struct RetryOn {
    std::string reason;            ///< empty with `exit_code`
    std::optional<int> exit_code;  ///< "exit:75"
    bool operator==(const RetryOn&) const = default;
};

struct Retry {
    std::uint32_t max = 0;  ///< tries after the first
    std::vector<RetryOn> on;
    Duration backoff = std::chrono::seconds(2);  ///< before the second try; doubles, with jitter, to at most 5 min
    bool operator==(const Retry&) const = default;
};

/// What may run at once.
struct Pool {
    std::uint32_t vms = 8;
    std::uint64_t memory_bytes = 0;     ///< 0: `memory_percent` counts
    std::uint32_t memory_percent = 75;  ///< of the host's memory
    std::uint32_t vcpus = 0;            ///< 0: no bound but `vms`
    bool shared = false;                ///< the bounds hold across the vmette processes of the host
    bool operator==(const Pool&) const = default;
};

/// The [batch] table and the name.
struct BatchRules {
    std::string name;
    Pool pool;
    bool fail_fast = false;
    std::uint32_t max_failures = 0;  ///< stop starting new jobs after so many; 0: never
    Duration deadline{0};            ///< of the whole batch; 0: none
    std::filesystem::path results;   ///< absolute; empty: none
    bool operator==(const BatchRules&) const = default;
};

/// A job that must have succeeded, or a whole group: all jobs of one [[job]] table.
struct Need {
    bool group = false;
    std::uint32_t index = 0;  ///< of the job or the group, in the order of the file
    bool operator==(const Need&) const = default;
};

/// One job after expansion.
struct BatchJob {
    std::string name;           ///< unique in the batch
    std::uint32_t group = 0;    ///< which [[job]] table it comes from
    std::int32_t priority = 0;  ///< higher goes first
    std::vector<Need> needs;
    Retry retry;
    bool cache = false;  ///< reuse a stored success of equal inputs
    Sandbox sandbox;     ///< its name is the job's
};

/// The batch without its jobs.
struct Batch {
    BatchRules rules;
    std::vector<std::string> groups;  ///< the name templates of the [[job]] tables
    std::uint32_t jobs = 0;           ///< how many there are
};

/// How many jobs a batch may expand to unless `batch.max_jobs` says otherwise.
constexpr std::uint32_t kDefaultMaxJobs = 100'000;

/// Whether a text is a batch manifest: it has `job`, `pool` or `sandbox` at its root.
bool is_batch_manifest(const LoadRequest::Source& source);

/// Reads, expands, validates: every job is handed to `sink` in the order of the file as soon as it is known to be
/// right, so that memory does not grow with their number beyond their names. When anything is wrong all diagnostics
/// come back (as load() gives them; those of a line of a file of jobs name that file and line) and what the sink was
/// given is void. The first error that `sink` returns ends the expansion and comes back as a diagnostic without a
/// place.
///
/// `request` is as for load(): one batch manifest in `sources` after the config's defaults; `set` applies to the batch
/// manifest ("pool.vms=4", "sandbox.limits.memory=1G").
std::expected<Batch, std::vector<Diagnostic>> load_batch(const LoadRequest& request,
                                                         const std::function<Result<>(BatchJob&&)>& sink);

/// The batch as a manifest of its own, templates and matrices resolved: this text, then that of each job in order.
/// load_batch() reads it back to equal rules and jobs, but for the groups: every job is one. Deterministic.
std::string to_toml(const Batch& batch);
/// `needs` are the names of the jobs that it needs.
std::string to_toml(const BatchJob& job, const std::vector<std::string>& needs);

}  // namespace vmette::manifest
