#pragma once
/// The durable side of batches: the queue of jobs, their states, and who drives them.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace vmette::store {

enum class BatchStatus {
    running,      ///< driven by `owner`, or by nobody when that process is gone
    succeeded,    ///< every job did
    failed,       ///< all jobs are settled, some did not succeed
    interrupted,  ///< stopped with jobs left: resumable
    cancelled,
};
std::string_view to_string(BatchStatus status);
std::optional<BatchStatus> parse_batch_status(std::string_view text);

enum class JobState {
    pending,  ///< waits for its needs, for room, or for its next try
    running,  ///< an attempt was begun; committed before anything of it exists
    succeeded,
    failed,   ///< no try is left
    skipped,  ///< what it needs did not succeed
    cancelled,
    unknown,  ///< its last attempt was lost after the command had begun, and its policy does not try that again
};
std::string_view to_string(JobState state);
std::optional<JobState> parse_job_state(std::string_view text);

/// One batch's row. Ids are ULIDs.
struct BatchRecord {
    std::string id;
    std::string name;
    BatchStatus status = BatchStatus::running;
    WallTime created_at{};
    std::optional<WallTime> finished_at;
    std::string file;             ///< the manifest's path as the user gave it
    std::string manifest;         ///< its text
    std::string manifest_digest;  ///< "sha256:…" of what was expanded: all files that went in
    std::string rules;            ///< what the scheduler made of [pool], [batch]: one line of JSON, opaque here
    std::string results;          ///< folder; empty: none
    std::vector<std::string> groups;
    std::uint32_t jobs = 0;
    ProcessIdentity owner;  ///< the process that drives it; pid 0: nobody
    bool operator==(const BatchRecord&) const = default;
};

/// One job's row.
struct JobRecord {
    std::uint32_t index = 0;  ///< from 0, in the file's order
    std::string name;
    std::uint32_t group = 0;
    std::int32_t priority = 0;
    std::string needs;  ///< "12 g3": jobs and groups by index, blank between
    std::string retry;  ///< one line of JSON, opaque here; empty: the default of no retry
    bool cache = false;
    std::uint32_t memory_mib = 0, vcpus = 0, scratch_mib = 0;  ///< what admission counts
    JobState state = JobState::pending;
    std::uint32_t attempts = 0;          ///< begun so far
    std::optional<WallTime> not_before;  ///< of the next try
    std::string reason;                  ///< of the last attempt, or why it was skipped or cancelled
    std::optional<int> exit_code;
    std::string run_id;                               ///< of the last attempt; empty: none was begun
    std::string detail;                               ///< one line: "needs build", the run's error
    std::optional<WallTime> started_at, finished_at;  ///< of the first attempt's begin, of the job's end
    bool reused = false;                              ///< `run_id` is an earlier run, whose result was taken
    bool operator==(const JobRecord&) const = default;
};

/// One change of a job's state. A reason, an exit code, a detail and `reused` are of one end: with a reason all of them
/// are written, without one all of them stay. Other fields that are absent stay as they are; with no attempt at all
/// there is no run and no begin.
struct JobChange {
    std::uint32_t index = 0;
    JobState state = JobState::pending;
    std::uint32_t attempts = 0;
    std::optional<WallTime> not_before;  ///< absent: cleared
    std::string reason;
    std::optional<int> exit_code;
    std::string run_id;
    std::string detail;
    std::optional<WallTime> at;  ///< when: becomes started_at (first `running`) or finished_at (a final state)
    bool reused = false;
};

/// How many jobs are in each state.
struct JobCounts {
    std::uint32_t pending = 0, running = 0, succeeded = 0, failed = 0, skipped = 0, cancelled = 0, unknown = 0;
    std::uint32_t& of(JobState state);
    bool operator==(const JobCounts&) const = default;
};

struct JobFilter {
    std::optional<JobState> state;
    std::string name;         ///< exact; empty: any
    std::uint32_t limit = 0;  ///< 0: all
};

/// Writes a batch and its jobs in one transaction: all of it or nothing, whatever happens meanwhile. Jobs are kept in a
/// file of their own until then, so nobody waits while they are made. Move-only; dropped without commit() nothing was.
class BatchWriter {
public:
    BatchWriter(BatchWriter&&) noexcept;
    ~BatchWriter();
    /// `manifest` is the job's whole resolved sandbox manifest. Jobs come in the order of their indexes.
    Result<> add(const JobRecord& job, std::string_view manifest);
    /// Writes the batch with its jobs, to the disk. `batch.jobs` is their number.
    Result<> commit(const BatchRecord& batch);

private:
    friend class Batches;
    struct Impl;
    explicit BatchWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// The batches of a store; borrows it and is used on its thread.
class Batches {
public:
    explicit Batches(Store& store) : store_(store) {}

    /// Begins a batch with this id.
    Result<BatchWriter> create(std::string_view id);
    /// By id, else the newest of that name, else by unique prefix of an id; errors as Store::find_run.
    Result<BatchRecord> find(std::string_view id_or_name);
    /// Newest first; `manifest` stays empty. limit 0: all.
    Result<std::vector<BatchRecord>> list(std::uint32_t limit);
    Result<std::vector<JobRecord>> jobs(std::string_view batch_id, const JobFilter& filter = {});
    Result<JobCounts> counts(std::string_view batch_id);
    /// The resolved sandbox manifest of a job.
    Result<std::string> job_manifest(std::string_view batch_id, std::uint32_t index);
    /// The attempts of a batch that a row of `runs` tells of, in order of job and attempt, without manifests.
    Result<std::vector<RunRecord>> attempts(std::string_view batch_id, std::string_view job = {});

    /// Makes `self` the owner, status running, unless a living process is (`busy`, its pid in the message; whether it
    /// lives is asked of `alive`). Atomic: of two callers one gets it.
    Result<BatchRecord> take(std::string_view batch_id, const ProcessIdentity& self,
                             const std::function<bool(const ProcessIdentity&)>& alive);
    /// Gives it up with this status. `busy` when `self` is not the owner.
    Result<> release(std::string_view batch_id, const ProcessIdentity& self, BatchStatus status);

    /// All changes in one transaction that outlives this process; `durable`: and a power failure. Fails with `busy`
    /// and changes nothing when `self` is not the batch's owner (another process has taken it over).
    Result<> apply(std::string_view batch_id, const ProcessIdentity& self, std::span<const JobChange> changes,
                   bool durable);

    /// Asks the owner of a batch, or us later, to cancel a job (or, without one, all). Kept until taken.
    /// What asks for the end of a batch that is over is dropped when somebody takes it again.
    Result<> request_cancel(std::string_view batch_id, std::optional<std::uint32_t> job);
    /// The requests that wait, removed. Absent index: the whole batch.
    Result<std::vector<std::optional<std::uint32_t>>> take_cancel_requests(std::string_view batch_id);

    /// A success of an earlier run with this key, for jobs with `cache = true`.
    struct CachedResult {
        std::string run_id;
        std::string inputs;  ///< what went into the key, by name: JSON, opaque here
        bool operator==(const CachedResult&) const = default;
    };
    Result<std::optional<CachedResult>> cached(std::string_view key);
    /// `not_found` without a row of that run, with which it goes.
    Result<> put_cached(std::string_view key, const CachedResult& result);
    /// The newest cached result of a job of this name in any batch of this name, for `explain`.
    Result<std::optional<CachedResult>> cached_for(std::string_view batch_name, std::string_view job);
    /// The newest of all, newest first.
    Result<std::vector<CachedResult>> recent_cached(std::uint32_t limit);
    /// Drops what turned out to be gone or damaged, if it is still of this run.
    Result<> remove_cached(std::string_view key, std::string_view run_id);

    /// Why a job was run although a stored success would have done: JSON, opaque here. Empty: nothing is known.
    Result<std::string> cache_decision(std::string_view batch_id, std::uint32_t job);
    Result<> put_cache_decision(std::string_view batch_id, std::uint32_t job, std::string_view decision);

    /// What a folder held, by its digest. Of all listings together no more than kMostListings bytes are kept, those
    /// used last.
    Result<std::optional<std::string>> tree_listing(std::string_view digest);
    Result<> put_tree_listing(std::string_view digest, std::string_view listing);
    static constexpr std::int64_t kMostListings = std::int64_t{32} << 20;

    /// Random, made when it is first asked for, the same for all who use this database: what secrets are hashed with.
    Result<std::string> cache_salt();

    /// The pool that all vmette processes share: what is claimed by living processes.
    struct Claim {
        std::uint32_t vms = 0, vcpus = 0;
        std::uint64_t memory_mib = 0;
    };
    /// Adds one machine's claim when, with those of all living processes (dead ones' are dropped), it stays within
    /// `bound` (0 in a field: no bound). The claim's number; nothing when there is no room.
    Result<std::optional<std::int64_t>> claim(const ProcessIdentity& self, const Claim& wanted, const Claim& bound,
                                              const std::function<bool(const ProcessIdentity&)>& alive);
    Result<> release_claim(std::int64_t claim);

private:
    Store& store_;
};

}  // namespace vmette::store
