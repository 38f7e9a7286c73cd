/// The store beside the same work through SQLite's C interface, prepared statements and all, in one database of many
/// runs each. `store_bench [RUNS]`, 100,000 when not said; the files go under $TMPDIR, which should be a real disk.

#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "base/digest.h"
#include "base/layout.h"
#include "bench.h"
#include "store/store.h"

namespace vmette::store {
namespace {

using bench::die;
using bench::require;

constexpr int kRepeats = 200;

WallTime instant(std::int64_t ms) { return WallTime(std::chrono::milliseconds(1'700'000'000'000 + ms)); }

RunRecord sample(std::int64_t number) {
    RunRecord run;
    run.created_at = instant(number * 1000);
    run.id = make_ulid(run.created_at.time_since_epoch().count());
    run.name = "job-" + std::to_string(number % 97);
    run.image_source = "https://images.example/root-" + std::to_string(number % 7) + ".squashfs";
    run.labels = {{"team", number % 2 == 0 ? "blue" : "red"}};
    run.manifest = std::string(1500, 'm');
    run.manifest_digest = "sha256:" + std::string(64, 'a');
    run.kernel_path = "/usr/share/vmette/x86_64/vmlinux";
    run.net_mode = "none";
    run.owner = {1234, 5678, "6f9fbd3e-6d3c-4b4e-9d5b-0f6f6b7e1a00"};
    return run;
}

RunRecord finished(RunRecord run) {
    run.status = RunStatus::succeeded;
    run.reason = "exited";
    run.exit_code = 0;
    run.started_at = run.created_at + std::chrono::milliseconds(600);
    run.finished_at = run.created_at + std::chrono::milliseconds(1200);
    run.phases = {1, 2, 300, 20, 600, 5, 7};
    run.usage.peak_memory_bytes = 50'000'000;
    return run;
}

/// The peer: one connection, statements prepared once, nothing between them and the caller.
class Raw {
public:
    explicit Raw(const std::filesystem::path& path) {
        if (::sqlite3_open(path.c_str(), &db_) != SQLITE_OK) die(::sqlite3_errmsg(db_));
        run("PRAGMA journal_mode = WAL");
        run("PRAGMA synchronous = FULL");
        run("PRAGMA foreign_keys = ON");
    }
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;
    ~Raw() {
        for (auto* statement : {insert_, update_, list_}) ::sqlite3_finalize(statement);
        ::sqlite3_close(db_);
    }

    void run(const char* sql) {
        if (::sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) die(::sqlite3_errmsg(db_));
    }

    /// The same columns with the same values, but for those of a record that stay NULL.
    void insert(const RunRecord& record) {
        prepare(
            insert_,
            "INSERT INTO runs (id, name, status, created_at, image_source, manifest_digest, kernel_path, net_mode, "
            "owner_pid, owner_start_ticks, owner_boot_id, attempt, started_before_failure, warm, vcpus, memory_mib, "
            "scratch_mib, cpu_ms, peak_memory_bytes, scratch_bytes, net_rx_bytes, net_tx_bytes, stdout_bytes, "
            "stderr_bytes, stdout_dropped, stderr_dropped) VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, "
            "1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)");
        run("BEGIN IMMEDIATE");
        text(insert_, 1, record.id);
        text(insert_, 2, record.name);
        ::sqlite3_bind_int64(insert_, 3, record.created_at.time_since_epoch().count());
        text(insert_, 4, record.image_source);
        text(insert_, 5, record.manifest_digest);
        text(insert_, 6, record.kernel_path);
        text(insert_, 7, record.net_mode);
        ::sqlite3_bind_int64(insert_, 8, record.owner.pid);
        ::sqlite3_bind_int64(insert_, 9, static_cast<std::int64_t>(record.owner.start_ticks));
        text(insert_, 10, record.owner.boot_id);
        step(insert_);
        auto key = std::to_string(::sqlite3_last_insert_rowid(db_));
        run(("INSERT INTO run_manifests VALUES (" + key + ", '" + record.manifest + "')").c_str());
        for (const auto& [label, value] : record.labels)
            run(("INSERT INTO run_labels VALUES (" + key + ", '" + label + "', '" + value + "', " +
                 std::to_string(record.created_at.time_since_epoch().count()) + ")")
                    .c_str());
        run("COMMIT");
    }

    void update(const RunRecord& record) {
        prepare(update_,
                "UPDATE runs SET status = ?2, reason = ?3, exit_code = ?4, started_at = ?5, finished_at = ?6, "
                "resolve_ms = 1, prepare_ms = 2, boot_ms = 300, ready_ms = 20, exec_ms = 600, collect_ms = 5, "
                "teardown_ms = 7, peak_memory_bytes = ?7 WHERE id = ?1");
        run("BEGIN IMMEDIATE");
        text(update_, 1, record.id);
        text(update_, 2, "succeeded");
        text(update_, 3, record.reason);
        ::sqlite3_bind_int(update_, 4, *record.exit_code);
        ::sqlite3_bind_int64(update_, 5, record.started_at->time_since_epoch().count());
        ::sqlite3_bind_int64(update_, 6, record.finished_at->time_since_epoch().count());
        ::sqlite3_bind_int64(update_, 7, static_cast<std::int64_t>(record.usage.peak_memory_bytes));
        step(update_);
        run("COMMIT");
    }

    /// Reads every column of the newest 50 as text, with its labels.
    std::size_t list() {
        prepare(list_,
                "SELECT *, (SELECT group_concat(label || '=' || value) FROM run_labels WHERE run = key) FROM runs "
                "ORDER BY created_at DESC, key DESC LIMIT 50");
        std::size_t bytes = 0;
        while (::sqlite3_step(list_) == SQLITE_ROW)
            for (int i = 0; i < ::sqlite3_column_count(list_); ++i) {
                const auto* value = ::sqlite3_column_text(list_, i);
                bytes += value != nullptr ? std::string(reinterpret_cast<const char*>(value)).size() : 0;
            }
        ::sqlite3_reset(list_);
        return bytes;
    }

private:
    void prepare(sqlite3_stmt*& statement, const char* sql) {
        if (statement == nullptr && ::sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) != SQLITE_OK)
            die(::sqlite3_errmsg(db_));
    }
    void step(sqlite3_stmt* statement) {
        if (::sqlite3_step(statement) != SQLITE_DONE) die(::sqlite3_errmsg(db_));
        ::sqlite3_reset(statement);
    }
    static void text(sqlite3_stmt* statement, int index, const std::string& value) {
        ::sqlite3_bind_text(statement, index, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
    }

    sqlite3* db_ = nullptr;
    sqlite3_stmt *insert_ = nullptr, *update_ = nullptr, *list_ = nullptr;
};

/// Milliseconds of each call, sorted.
std::vector<double> measure(int repeats, const std::function<void(int)>& work) {
    std::vector<double> times;
    for (int i = 0; i < repeats; ++i) {
        auto start = std::chrono::steady_clock::now();
        work(i);
        times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    std::ranges::sort(times);
    return times;
}

void report(const char* what, const std::vector<double>& ours, const std::vector<double>& theirs) {
    auto at = [](const std::vector<double>& times, std::size_t percent) { return times[times.size() * percent / 100]; };
    std::printf("%-24s %9.3f %9.3f %9.3f %9.3f %8.2fx\n", what, at(ours, 50), at(ours, 95), at(theirs, 50),
                at(theirs, 95), at(ours, 50) / at(theirs, 50));
}

/// Fills the history as many runs would, in few transactions.
void fill(Raw& raw, std::int64_t runs) {
    raw.run("PRAGMA synchronous = OFF");
    raw.run(("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(runs) +
             ") INSERT INTO runs (id, name, status, reason, exit_code, created_at, started_at, finished_at, boot_ms, "
             "image_source, manifest_digest, kernel_path, net_mode, owner_pid, owner_start_ticks, owner_boot_id, "
             "attempt, started_before_failure, warm, vcpus, memory_mib, scratch_mib, cpu_ms, peak_memory_bytes, "
             "scratch_bytes, net_rx_bytes, net_tx_bytes, stdout_bytes, stderr_bytes, stdout_dropped, stderr_dropped) "
             "SELECT printf('01%024x', i), 'job-' || (i % 97), iif(i % 11, 'succeeded', 'failed'), 'exited', "
             "iif(i % 11, 0, 1), 1600000000000 + i * 1000, 1600000000500 + i * 1000, 1600000001000 + i * 1000, 300.5, "
             "'https://images.example/root-' || (i % 7) || '.squashfs', printf('sha256:%064x', i), "
             "'/usr/share/vmette/x86_64/vmlinux', 'none', i, i, '6f9fbd3e-6d3c-4b4e-9d5b-0f6f6b7e1a00', 1, 0, 0, 2, "
             "512, 8192, 10, 1000 * (i % 1009), 0, 0, 0, 100, 0, 0, 0 FROM n")
                .c_str());
    raw.run("INSERT INTO run_manifests SELECT key, printf('%1500d', key) FROM runs");
    raw.run("INSERT INTO run_labels SELECT key, 'team', iif(key % 2, 'red', 'blue'), created_at FROM runs");
    raw.run("PRAGMA wal_checkpoint(TRUNCATE)");
    raw.run("PRAGMA synchronous = FULL");
}

Store open_store(const std::filesystem::path& path, const Clock& clock) {
    auto store = Store::open(path, clock);
    if (!store) die(store.error().text());
    return *std::move(store);
}

/// A history of so many runs; nobody has it open when this returns.
std::filesystem::path make_history(const std::filesystem::path& folder, const Clock& clock, std::int64_t runs) {
    auto path = folder / "vmette.db";
    open_store(path, clock);
    Raw raw(path);
    fill(raw, runs);
    return path;
}

void compare_calls(const std::filesystem::path& ours, const std::filesystem::path& theirs, const Clock& clock) {
    Store store = open_store(ours, clock);
    Raw raw(theirs);
    std::vector<RunRecord> records;
    for (int i = 0; i < kRepeats; ++i) records.push_back(sample(i));
    auto record = [&](int i) -> const RunRecord& { return records[static_cast<std::size_t>(i)]; };
    report("insert a run", measure(kRepeats, [&](int i) { require(store.insert_run(record(i))); }),
           measure(kRepeats, [&](int i) { raw.insert(record(i)); }));
    for (auto& one : records) one = finished(std::move(one));
    report("update a run", measure(kRepeats, [&](int i) { require(store.update_run(record(i))); }),
           measure(kRepeats, [&](int i) { raw.update(record(i)); }));
    report("list the newest 50", measure(kRepeats, [&](int) { (void)store.list_runs({}); }),
           measure(kRepeats, [&](int) { raw.list(); }));
}

/// What a process that is alone pays for its history: nothing is open before or after.
void compare_processes(const std::filesystem::path& ours, const std::filesystem::path& theirs, const Clock& clock) {
    report("open and close", measure(kRepeats, [&](int) { open_store(ours, clock); }),
           measure(kRepeats, [&](int) { Raw(theirs).run("SELECT 1 FROM runs LIMIT 1"); }));
    report("open, record, close",
           measure(kRepeats,
                   [&](int i) {
                       Store store = open_store(ours, clock);
                       RunRecord run = sample(1'000'000 + i);
                       require(store.insert_run(run));
                       require(store.update_run(finished(run)));
                   }),
           measure(kRepeats, [&](int i) {
               Raw raw(theirs);
               RunRecord run = sample(1'000'000 + i);
               raw.insert(run);
               raw.update(finished(run));
           }));
}

void list_by(Store& store, const char* what, const RunFilter& filter) {
    auto times = measure(20, [&](int) {
        if (auto runs = store.list_runs(filter); !runs) die(runs.error().text());
    });
    std::printf("%-24s %9.3f %9.3f\n", what, times[10], times[19]);
}

void list_in_all_ways(Store store) {
    std::printf("\n%-24s %9s %9s\n", "", "median", "max");
    RunFilter failed, label, name, slowest, code, recent;
    failed.failed = true;
    recent = failed;
    recent.since = instant(0);
    label.labels = {{"team", "red"}};
    name.name_glob = "job-1*";
    slowest.sort = {"duration"};
    code.exit_code = 77;
    list_by(store, "list --failed", failed);
    list_by(store, "list --failed --since", recent);
    list_by(store, "list --label", label);
    list_by(store, "list --name GLOB", name);
    list_by(store, "list --exit (none)", code);
    list_by(store, "list --sort duration", slowest);
}

void compare(std::int64_t runs) {
    SystemClock clock;
    auto folder = TempDir::make();
    if (!folder) die(folder.error().text());
    auto ours = make_history(folder->path() / "ours", clock, runs);
    auto theirs = make_history(folder->path() / "theirs", clock, runs);
    std::printf("%lld runs in the history; milliseconds\n", static_cast<long long>(runs));
    std::printf("%-24s %9s %9s %9s %9s %9s\n", "", "median", "p95", "C median", "C p95", "ratio");
    compare_calls(ours, theirs, clock);
    compare_processes(ours, theirs, clock);
    list_in_all_ways(open_store(ours, clock));
}

}  // namespace
}  // namespace vmette::store

int main(int argc, char** argv) {
    long long runs = argc > 1 ? std::atoll(argv[1]) : 100'000;
    if (runs <= 0) {
        std::fprintf(stderr, "usage: store_bench [RUNS]\n");
        return 2;
    }
    vmette::store::compare(runs);
}
