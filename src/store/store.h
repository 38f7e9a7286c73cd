#pragma once
/// What vmette remembers: runs, images, what it owes the host (the ledger), and what it learned of the host. SQLite,
/// used by many vmette processes at once. The only place that holds SQL.
///
/// Every call opens no transaction that outlives it. One Store belongs to one thread.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/process.h"
#include "base/units.h"
#include "store/condition.h"

namespace vmette::store {

enum class RunStatus { running, succeeded, failed, stopped, lost };
std::string_view to_string(RunStatus status);
std::optional<RunStatus> parse_run_status(std::string_view text);

/// Milliseconds spent in each phase; absent: not reached.
struct Phases {
    std::optional<double> resolve_ms, prepare_ms, boot_ms, ready_ms, exec_ms, collect_ms, teardown_ms;
    bool operator==(const Phases&) const = default;
};

/// What the run used; counts are bytes unless named otherwise.
struct Usage {
    std::uint64_t cpu_ms = 0;
    std::uint64_t peak_memory_bytes = 0;
    std::uint64_t scratch_bytes = 0;
    std::uint64_t net_rx_bytes = 0;
    std::uint64_t net_tx_bytes = 0;
    std::uint64_t stdout_bytes = 0;  ///< all that the command wrote
    std::uint64_t stderr_bytes = 0;
    std::uint64_t stdout_dropped = 0;  ///< of these, not kept in the log
    std::uint64_t stderr_dropped = 0;
    bool operator==(const Usage&) const = default;
};

struct Denied {
    std::string host;
    std::uint16_t port = 0;
    std::uint64_t count = 0;
    bool operator==(const Denied&) const = default;
};

struct ArtifactRecord {
    std::string path;
    std::uint64_t bytes = 0;
    std::string sha256;
    bool operator==(const ArtifactRecord&) const = default;
};

/// One row of the history: the fields of a run's document (the specification's cli page), and what only the store
/// needs. Empty strings and absent optionals are null in JSON.
struct RunRecord {
    std::string id;
    std::string name;
    std::string batch;  ///< empty: none
    std::string job;
    std::uint32_t attempt = 1;
    RunStatus status = RunStatus::running;
    std::string reason;  ///< empty while it runs
    std::optional<int> exit_code;
    std::optional<int> signal;
    bool started_before_failure = false;  ///< the command had begun when it failed: its outcome is unknown
    WallTime created_at{};
    std::optional<WallTime> started_at;  ///< of the command
    std::optional<WallTime> finished_at;
    Phases phases;
    std::string image_source, image_digest, image_provider;
    std::string kernel_path, kernel_digest;
    std::string accel;
    bool warm = false;
    std::uint32_t vcpus = 0;
    std::uint64_t memory_mib = 0;
    std::uint64_t scratch_mib = 0;
    Usage usage;
    std::string net_mode;
    std::vector<Denied> net_denied;
    std::map<std::string, std::string> labels;
    std::string manifest;         ///< the resolved manifest's text
    std::string manifest_digest;  ///< "sha256:…" of it
    std::vector<ArtifactRecord> artifacts;
    std::string log_stdout, log_stderr, log_console;  ///< paths; empty: not kept
    std::string error;                                ///< one line; empty: none
    ProcessIdentity owner;                            ///< the vmette process that runs it
    bool operator==(const RunRecord&) const = default;
};

/// The run's document as the specification fixes it; `indent` < 0: one line.
std::string to_json(const RunRecord& run, int indent = 2);

/// `vmette history`'s filters; all that are set must hold.
struct RunFilter {
    std::optional<WallTime> since, until;  ///< of created_at
    std::optional<RunStatus> status;
    std::string reason;
    std::optional<int> exit_code;
    bool failed = false;       ///< status failed or lost
    std::string name_glob;     ///< SQLite GLOB, as are the others
    std::string image_glob;    ///< of the image's source
    std::string image_digest;  ///< exact
    std::string batch;
    std::map<std::string, std::string> labels;
    std::uint32_t limit = 50;  ///< 0: no limit
    std::optional<Condition> where;
    /// Words that what the run wrote has one after the other. With it the order, when none is said, is that of arrival,
    /// which is that of the time but for clocks that were set.
    std::string grep;
    /// Fields (store/run_fields.h), each with "-" (largest first) or "+" before it, or as it is natural: texts rise,
    /// all else falls. Empty: created, newest first.
    std::vector<std::string> sort;
};

enum class LedgerKind { directory, file, process };
std::string_view to_string(LedgerKind kind);

/// One thing a run owes the host: written before it is made, removed after it is gone.
struct LedgerEntry {
    std::int64_t id = 0;
    std::string run_id;
    LedgerKind kind = LedgerKind::directory;
    std::string path;         ///< directory, file
    ProcessIdentity process;  ///< process
    std::string what;         ///< for people: "the run's runtime folder"
};

/// An image in the cache, with its use.
struct StoredImage {
    std::string digest, source, provider, content_digest, validator;
    std::uint64_t bytes = 0;
    WallTime created_at{}, last_used_at{};
    std::uint64_t uses = 0;
    std::string config;     ///< what the image says of how its command runs, one line of JSON; empty: nothing
    WallTime checked_at{};  ///< when the source was last found to name it; set by put_image()
};

/// The database. Errors: io (cannot open, corrupt), no_space, unsupported (made by a newer vmette: refused, untouched),
/// busy (another writer for longer than the limit).
///
/// What a call wrote outlives any process when it returns. A run whose command has begun also outlives the machine
/// (docs/decisions/0001-sqlite.md); the rest may lose its last moments in a power failure.
class Store {
public:
    /// How long a call waits for another process's write; many wait less than a millisecond each.
    static constexpr Duration kBusyLimit = std::chrono::seconds(30);

    /// Opens or creates it (0600), applying the migrations that are missing, each in one transaction.
    static Result<Store> open(const std::filesystem::path& path, const Clock& clock, Duration busy_limit = kBusyLimit);
    /// Opens what is there for reading alone; `not_found` when nothing is, `unsupported` when its schema is not
    /// exactly this program's (open() would bring an older one up to date).
    static Result<Store> open_read_only(const std::filesystem::path& path, const Clock& clock,
                                        Duration busy_limit = kBusyLimit);
    Store(Store&&) noexcept;
    Store& operator=(Store&&) noexcept;
    ~Store();

    Result<> insert_run(const RunRecord& run);
    /// Writes every field of an existing row; `not_found` without one. A row that is no longer `running` (another
    /// process has declared it lost) is still overwritten: its owner knows better.
    Result<> update_run(const RunRecord& run);
    Result<std::optional<RunRecord>> get_run(std::string_view id);
    /// By id, else the newest of that name, else by unique prefix of an id. `not_found`; `bad_input` when a prefix fits
    /// several (the message lists at most five).
    Result<RunRecord> find_run(std::string_view id_or_name);
    /// Without `manifest` (left empty): never give one of these to update_run.
    Result<std::vector<RunRecord>> list_runs(const RunFilter& filter);
    /// Runs whose status is `running`, whoever owns them; only id, name, owner and created_at are filled.
    Result<std::vector<RunRecord>> running_runs();
    /// running → lost, reason lost, with this error, unless its status changed meanwhile. True when it did the change.
    /// When it ended is unknown: finished_at stays empty; started_before_failure tells whether the command had begun.
    Result<bool> mark_lost(std::string_view run_id, std::string_view error);

    Result<std::int64_t> ledger_add(const LedgerEntry& entry);
    Result<> ledger_remove(std::int64_t id);
    /// All entries, or those of one run, newest first: teardown goes in that order.
    Result<std::vector<LedgerEntry>> ledger_list(std::string_view run_id = {});

    /// Several sources may name one image; a source names the image it was put with last.
    Result<> put_image(const StoredImage& image);
    /// It is used now; `uses` more are counted.
    Result<> touch_image(std::string_view digest, std::uint64_t uses = 1);
    /// With all its sources.
    Result<> remove_image(std::string_view digest);
    /// The name alone, unless it is its image's last: then nothing is done. True when it was removed.
    Result<bool> remove_image_source(std::string_view source);
    Result<std::optional<StoredImage>> image_by_source(std::string_view source);
    Result<std::optional<StoredImage>> image_by_content(std::string_view content_digest);
    /// One image, once for each of its sources, newest first.
    Result<std::vector<StoredImage>> image_sources(std::string_view digest);
    /// By source, or by the unique beginning (4 digits and more) of its digest, of that of what it was made from, or of
    /// what a reference names. `not_found`, or `bad_input` when it fits several.
    Result<StoredImage> find_image(std::string_view digest_or_source);
    /// Each image once, with its newest source; last used first.
    Result<std::vector<StoredImage>> list_images();
    /// The same, each once for each of its sources, newest first.
    Result<std::vector<StoredImage>> list_image_sources();

    /// What was learned of this host, or of a file on it, by key ("accel:…", "digest:…"): small texts.
    Result<std::optional<std::string>> get_fact(std::string_view key);
    Result<> put_fact(std::string_view key, std::string_view value);
    Result<> remove_facts(std::string_view key_prefix);

    /// PRAGMA quick_check: empty when sound, else what it said, on one line.
    Result<std::string> check();
    int schema_version() const;

private:
    friend class Batches;  // parts of the same database (store/batches.h, store/history.h)
    friend class History;
    struct Impl;
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace vmette::store
