/// Questions to a history of many runs, each as a user asks it (a process of its own, its output thrown away), beside
/// the same question in the sqlite3 shell over the same file; and what recording one more run costs at that size.
///
/// `history_bench VMETTE [RUNS]`, 1,000,000 when not said; the files go under $TMPDIR, which should be a real disk.

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>

#include "base/digest.h"
#include "base/fd.h"
#include "base/layout.h"
#include "base/process.h"
#include "bench.h"
#include "store/history.h"

namespace vmette::store {
namespace {

using bench::die;
using bench::require;
using bench::value_of;

constexpr int kRepeats = 21;
/// The runs lie in the year before the bench: one in 31.5 s when there are a million.
constexpr std::int64_t kYear = 365LL * 86'400'000;
/// Of outputs: what a test's log says, give or take.
constexpr int kWords = 20;
constexpr int kVocabulary = 5000;

class Raw {
public:
    explicit Raw(const std::filesystem::path& path) {
        if (::sqlite3_open(path.c_str(), &db_) != SQLITE_OK) die(::sqlite3_errmsg(db_));
        run("PRAGMA synchronous = OFF");
        run("PRAGMA cache_size = -200000");
    }
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;
    ~Raw() { ::sqlite3_close(db_); }

    void run(const std::string& sql) {
        if (::sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) die(::sqlite3_errmsg(db_));
    }

    /// What runs wrote: words by a distribution as texts have it, few that are in most and many that are in few.
    void write_outputs(std::int64_t runs) {
        sqlite3_stmt* put = nullptr;
        if (::sqlite3_prepare_v2(db_, "INSERT INTO run_outputs (rowid, text) VALUES (?, ?)", -1, &put, nullptr) !=
            SQLITE_OK)
            die(::sqlite3_errmsg(db_));
        std::mt19937_64 random(1);
        std::uniform_real_distribution<double> any(0, 1);
        run("BEGIN");
        for (std::int64_t key = 1; key <= runs; ++key) {
            std::string text;
            for (int i = 0; i < kWords; ++i) {
                double part = any(random);
                text += "word" + std::to_string(static_cast<int>(part * part * part * kVocabulary)) +
                        (i % 8 == 7 ? "\n" : " ");
            }
            ::sqlite3_bind_int64(put, 1, key);
            ::sqlite3_bind_text(put, 2, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
            if (::sqlite3_step(put) != SQLITE_DONE) die(::sqlite3_errmsg(db_));
            ::sqlite3_reset(put);
        }
        ::sqlite3_finalize(put);
        run("COMMIT");
    }

private:
    sqlite3* db_ = nullptr;
};

void fill(const std::filesystem::path& path, std::int64_t runs, std::int64_t now) {
    Raw raw(path);
    auto time = fmt::format("{} + i * {}", now - kYear, kYear / runs);
    raw.run("BEGIN");
    raw.run(fmt::format(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO runs (id, name, "
        "status, "
        "reason, exit_code, created_at, started_at, finished_at, resolve_ms, prepare_ms, boot_ms, ready_ms, exec_ms, "
        "collect_ms, teardown_ms, image_source, image_digest, image_provider, manifest_digest, kernel_path, "
        "kernel_digest, accel, net_mode, owner_pid, owner_start_ticks, owner_boot_id, attempt, started_before_failure, "
        "warm, vcpus, memory_mib, scratch_mib, cpu_ms, peak_memory_bytes, scratch_bytes, net_rx_bytes, net_tx_bytes, "
        "stdout_bytes, stderr_bytes, stdout_dropped, stderr_dropped) "
        "SELECT printf('01%024x', i), 'job-' || (i % 97), iif(i % 11, 'succeeded', 'failed'), 'exited', iif(i % 11, 0, "
        "1), "
        "{}, {} + 500, {} + 1000 + i * 7919 % 60000, 1.5, 2.5, 100 + i * 31 % 400, 20.5, 400, 5.5, 7.5, "
        "'https://images.example/root-' || (i % 7) || '.squashfs', printf('sha256:%064x', i % 7), 'squashfs', "
        "printf('sha256:%064x', i), '/usr/share/vmette/x86_64/vmlinux', printf('sha256:%064x', 1), 'kvm', 'none', i, "
        "i, "
        "'6f9fbd3e-6d3c-4b4e-9d5b-0f6f6b7e1a00', 1, 0, 0, 2, 512, 8192, 10, 1000000 * (i % 1009), 0, 0, 0, 100, 0, 0, "
        "0 "
        "FROM n",
        runs, time, time, time));
    raw.run("INSERT INTO run_manifests SELECT key, printf('%1500d', key) FROM runs");
    raw.run("INSERT INTO run_labels SELECT key, 'team', iif(key % 2, 'red', 'blue'), created_at FROM runs");
    raw.run("COMMIT");
    raw.write_outputs(runs);
    raw.run("PRAGMA wal_checkpoint(TRUNCATE)");
}

class Bench {
public:
    Bench(std::string vmette, std::int64_t runs) : vmette_(std::move(vmette)), runs_(runs) {
        layout_.state = folder_.path() / "state";
        for (const char* name : {"VMETTE_STATE_DIR", "VMETTE_CACHE_DIR", "VMETTE_RUNTIME_DIR", "VMETTE_CONFIG_DIR"})
            ::setenv(name, (folder_.path() / (name == std::string_view("VMETTE_STATE_DIR") ? "state" : name)).c_str(),
                     1);
        now_ = clock_.now().time_since_epoch().count();
    }

    void run() {
        require(make_private_dir(layout_.state));
        value_of(Store::open(layout_.database(), clock_));
        fill_apart();
        std::printf("%lld runs in the history, %.0f MB; milliseconds of a process, median of %d\n",
                    static_cast<long long>(runs_),
                    static_cast<double>(std::filesystem::file_size(layout_.database())) / 1e6, kRepeats);
        std::printf("%-36s %9s %9s %8s\n", "", "vmette", "sqlite3", "ratio");
        compare("nothing (version / SELECT 1)", {"version"}, "SELECT 1");
        compare_listings();
        compare_stats();
        record();
    }

private:
    /// In a process of its own, which takes its memory with it: a large process starts others slowly. What it wrote is
    /// on the disk when this returns, or the first commit that is measured would wait for that.
    void fill_apart() {
        pid_t child = ::fork();
        if (child < 0) die("fork");
        if (child == 0) {
            fill(layout_.database(), runs_, now_);
            ::_exit(0);
        }
        int status = 0;
        if (::waitpid(child, &status, 0) != child || status != 0) die("the history could not be made");
        Fd file = value_of(open_file(layout_.database(), O_RDONLY));
        if (::fsync(file.get()) != 0) die("fsync");
    }

    void compare_listings() {
        std::int64_t week = now_ - 7LL * 86'400'000;
        compare("history --failed --since 7d", {"history", "--failed", "--since", "7d", "--limit", "50"},
                fmt::format("SELECT * FROM runs WHERE status IN ('failed', 'lost') AND created_at >= {} "
                            "ORDER BY created_at DESC, key DESC LIMIT 50",
                            week));
        std::string id = fmt::format("01{:024x}", runs_ / 2);
        compare("history show ID", {"history", "show", id},
                fmt::format(
                    "SELECT *, (SELECT manifest FROM run_manifests WHERE run = key), (SELECT "
                    "group_concat(label || '=' || value) FROM run_labels WHERE run = key) FROM runs WHERE id = '{}'",
                    id));
        for (const char* word : {"word4321", "word7"})
            compare(fmt::format("history --grep {}", word).c_str(), {"history", "--grep", word},
                    fmt::format("SELECT runs.* FROM run_outputs CROSS JOIN runs ON runs.key = run_outputs.rowid WHERE "
                                "run_outputs MATCH '\"{}\"' ORDER BY run_outputs.rowid DESC LIMIT 50",
                                word));
    }

    void compare_stats() {
        std::int64_t month = now_ - 30LL * 86'400'000;
        // Nearest rank: the value at place ceil(n * part) in its order.
        std::string ranked, columns;
        for (auto [name, value] :
             {std::pair{"d", "finished_at - created_at"}, {"b", "boot_ms"}, {"m", "nullif(peak_memory_bytes, 0)"}}) {
            ranked += fmt::format(
                ", {0} AS {1}, row_number() OVER (PARTITION BY image_source ORDER BY {0} NULLS LAST) AS {1}r, "
                "count({0}) OVER (PARTITION BY image_source) AS {1}n",
                value, name);
            columns += fmt::format(
                ", max(iif({0}r = ({0}n + 1) / 2, {0}, NULL)), max(iif({0}r = ({0}n * 95 + 99) / 100, {0}, NULL)), "
                "max({0})",
                name);
        }
        compare("history stats --by image --since 30d", {"history", "stats", "--by", "image", "--since", "30d"},
                fmt::format("SELECT image_source, count(*), sum(status IN ('failed', 'lost')){} FROM (SELECT "
                            "image_source, status{} "
                            "FROM runs WHERE created_at >= {}) GROUP BY image_source ORDER BY 2 DESC",
                            columns, ranked, month));
        compare("  beside it without percentiles", {"history", "stats", "--by", "image", "--since", "30d"},
                fmt::format(
                    "SELECT image_source, count(*), sum(status IN ('failed', 'lost')), max(finished_at - created_at), "
                    "max(boot_ms), max(peak_memory_bytes) FROM runs WHERE created_at >= {} GROUP BY image_source",
                    month));
    }

    void compare(const char* what, std::vector<std::string> words, const std::string& sql) {
        words.insert(words.begin(), vmette_);
        std::vector<std::string> shell{"sqlite3", "-readonly", layout_.database().string(), sql};
        // In turns, so that what else the machine does meets both.
        std::vector<double> ours, theirs;
        for (int i = 0; i < kRepeats; ++i) {
            ours.push_back(time_of(words));
            theirs.push_back(time_of(shell));
        }
        double our = median(ours), their = median(theirs);
        std::printf("%-36s %9.2f %9.2f %7.2fx\n", what, our, their, our / their);
        std::fflush(stdout);
    }

    double time_of(const std::vector<std::string>& words) {
        ProcessSpec spec;
        spec.argv = words;
        auto begin = std::chrono::steady_clock::now();
        Process process = value_of(spawn(spec));
        auto status = process.wait_for(std::chrono::seconds(60));
        double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
        if (!status || *status != 0) die(fmt::format("{} failed", fmt::join(words, " ")));
        return ms;
    }

    static double median(std::vector<double>& values) {
        std::ranges::sort(values);
        return values[values.size() / 2];
    }

    /// Everything that is written of a run whose command has begun and ended.
    void record() {
        Store store = value_of(Store::open(layout_.database(), clock_));
        constexpr int kRecorded = 500;
        std::vector<double> syncs, rows, outputs;
        Fd beside = value_of(open_file(layout_.state / "beside", O_WRONLY | O_CREAT));
        std::string text;
        for (int i = 0; i < 200; ++i) text += "word" + std::to_string(i * 17) + " ";
        for (int i = 0; i < kRecorded; ++i) {
            RunRecord run;
            run.created_at = clock_.now();
            run.id = make_ulid(run.created_at.time_since_epoch().count());
            run.name = "recorded";
            run.labels = {{"team", "blue"}};
            run.manifest = std::string(1500, 'm');
            auto before = std::chrono::steady_clock::now();
            require(write_all(beside.get(), run.manifest));
            if (::fdatasync(beside.get()) != 0) die("fdatasync");
            auto begin = std::chrono::steady_clock::now();
            require(store.insert_run(run));
            run.status = RunStatus::succeeded;
            run.started_at = run.finished_at = run.created_at;
            require(store.update_run(run));
            auto middle = std::chrono::steady_clock::now();
            require(History(store).index_output(run.id, text));
            auto end = std::chrono::steady_clock::now();
            syncs.push_back(std::chrono::duration<double, std::milli>(begin - before).count());
            rows.push_back(std::chrono::duration<double, std::milli>(middle - begin).count());
            outputs.push_back(std::chrono::duration<double, std::milli>(end - middle).count());
        }
        std::printf("\n%-36s %9s %9s %9s\n", "recording a run, in the process", "median", "p95", "max");
        auto print = [](const char* what, std::vector<double>& times) {
            std::ranges::sort(times);
            std::printf("%-36s %9.3f %9.3f %9.3f\n", what, times[kRecorded / 2], times[kRecorded * 95 / 100],
                        times.back());
        };
        // The row waits for one sync of the disk, which any program that promises as much waits for.
        print("a sync of this disk by itself", syncs);
        print("its row, made and finished", rows);
        print("its output of 200 words", outputs);
    }

    std::string vmette_;
    std::int64_t runs_;
    std::int64_t now_ = 0;
    SystemClock clock_;
    TempDir folder_ = value_of(TempDir::make());
    Layout layout_;
};

}  // namespace
}  // namespace vmette::store

int main(int argc, char** argv) {
    long long runs = argc > 2 ? std::atoll(argv[2]) : 1'000'000;
    if (argc < 2 || runs <= 0) {
        std::fprintf(stderr, "usage: history_bench VMETTE [RUNS]\n");
        return 2;
    }
    vmette::store::Bench(argv[1], runs).run();
}
