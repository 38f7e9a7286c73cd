#include <random>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "store/store_fixture.h"

namespace vmette::store {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::ElementsAre;

std::vector<std::string> keys(const Json& object) {
    std::vector<std::string> out;
    for (const auto& [key, value] : object.items()) out.push_back(key);
    return out;
}

/// The fields of a run's document, in the specification's order (its page on the command line).
void expect_all_fields(const Json& run) {
    EXPECT_THAT(keys(run),
                ElementsAre("id", "name", "batch", "job", "attempt", "status", "reason", "exit_code", "signal",
                            "started_before_failure", "created_at", "started_at", "finished_at", "duration_ms",
                            "phases", "image", "kernel", "accel", "warm", "vcpus", "memory_mib", "scratch_mib", "usage",
                            "net", "labels", "manifest_digest", "artifacts", "logs", "error"));
    EXPECT_THAT(keys(run["phases"]),
                ElementsAre("resolve_ms", "prepare_ms", "boot_ms", "ready_ms", "exec_ms", "collect_ms", "teardown_ms"));
    EXPECT_THAT(keys(run["image"]), ElementsAre("source", "digest", "provider"));
    EXPECT_THAT(keys(run["kernel"]), ElementsAre("path", "digest"));
    EXPECT_THAT(keys(run["usage"]),
                ElementsAre("cpu_ms", "peak_memory_bytes", "scratch_bytes", "net_rx_bytes", "net_tx_bytes",
                            "stdout_bytes", "stderr_bytes", "stdout_dropped", "stderr_dropped"));
    EXPECT_THAT(keys(run["net"]), ElementsAre("mode", "denied"));
    EXPECT_THAT(keys(run["logs"]), ElementsAre("stdout", "stderr", "console"));
    EXPECT_TRUE(run["labels"].is_object());
    EXPECT_TRUE(run["artifacts"].is_array());
    EXPECT_TRUE(run["net"]["denied"].is_array());
}

TEST(RunJsonTest, WholeDocument) {
    EXPECT_EQ(to_json(full_run("01a")), R"({
  "id": "01a",
  "name": "build",
  "batch": "batch-1",
  "job": "job-7",
  "attempt": 3,
  "status": "failed",
  "reason": "signaled",
  "exit_code": 139,
  "signal": 11,
  "started_before_failure": true,
  "created_at": "2023-11-14T22:13:20.005Z",
  "started_at": "2023-11-14T22:13:20.700Z",
  "finished_at": "2023-11-14T22:13:22.505Z",
  "duration_ms": 2500,
  "phases": {
    "resolve_ms": 1.5,
    "prepare_ms": 2.25,
    "boot_ms": 310.125,
    "ready_ms": 40.063,
    "exec_ms": 1800.5,
    "collect_ms": 12.75,
    "teardown_ms": 9.125
  },
  "image": {
    "source": "tar+file:///srv/root.tar",
    "digest": "sha256:image",
    "provider": "tar"
  },
  "kernel": {
    "path": "/usr/share/vmette/x86_64/vmlinux",
    "digest": "sha256:kernel"
  },
  "accel": "tcg",
  "warm": true,
  "vcpus": 4,
  "memory_mib": 1024,
  "scratch_mib": 8192,
  "usage": {
    "cpu_ms": 11,
    "peak_memory_bytes": 12,
    "scratch_bytes": 13,
    "net_rx_bytes": 14,
    "net_tx_bytes": 15,
    "stdout_bytes": 16,
    "stderr_bytes": 17,
    "stdout_dropped": 18,
    "stderr_dropped": 19
  },
  "net": {
    "mode": "nat",
    "denied": [
      {
        "host": "evil.example",
        "port": 443,
        "count": 3
      },
      {
        "host": "10.0.0.1",
        "port": 22,
        "count": 1
      }
    ]
  },
  "labels": {
    "team": "blue",
    "ticket": "T-1"
  },
  "manifest_digest": "sha256:manifest",
  "artifacts": [
    {
      "path": "out/b.bin",
      "bytes": 20,
      "sha256": "bb"
    },
    {
      "path": "out/a.bin",
      "bytes": 10,
      "sha256": "aa"
    }
  ],
  "logs": {
    "stdout": "/state/runs/x/stdout.log",
    "stderr": "/state/runs/x/stderr.log",
    "console": "/state/runs/x/console.log"
  },
  "error": "the command died of signal 11"
})");
}

TEST(RunJsonTest, WhatIsUnknownIsNull) {
    Json run = Json::parse(to_json(new_run("01a", "")));
    expect_all_fields(run);
    for (const char* key : {"name", "batch", "job", "reason", "exit_code", "signal", "started_at", "finished_at",
                            "duration_ms", "accel", "manifest_digest", "error"})
        EXPECT_TRUE(run[key].is_null()) << key;
    for (const char* object : {"phases", "image", "kernel", "logs"})
        for (const auto& [key, value] : run[object].items()) EXPECT_TRUE(value.is_null()) << object << "." << key;
    EXPECT_TRUE(run["net"]["mode"].is_null());
    EXPECT_EQ(run["status"], "running");
    EXPECT_EQ(run["labels"], Json::object());
    EXPECT_EQ(run["artifacts"], Json::array());
}

TEST(RunJsonTest, OneLineWithoutIndent) {
    std::string line = to_json(full_run("01a"), -1);
    EXPECT_EQ(line.find('\n'), line.npos);
    EXPECT_EQ(Json::parse(line), Json::parse(to_json(full_run("01a"), 4)));
}

TEST(RunJsonTest, ManifestIsNotInTheDocument) {
    RunRecord run = new_run("01a");
    run.manifest = "password-like-text";
    EXPECT_EQ(to_json(run).find("password-like-text"), std::string::npos);
}

TEST(RunJsonTest, BrokenUtf8IsReplacedNotThrown) {
    RunRecord run = new_run("01a");
    run.error = "caf\xE9 \xFF";
    run.labels["k\x80"] = "\xC3";
    run.artifacts = {{"\xED\xA0\x80", 1, ""}};
    Json document = Json::parse(to_json(run));
    EXPECT_EQ(document["error"], "caf\uFFFD \uFFFD");
    EXPECT_EQ(document["labels"]["k\uFFFD"], "\uFFFD");
    EXPECT_TRUE(document["artifacts"][0]["sha256"].is_null());
}

TEST(RunJsonTest, NumbersAreExactToTheirEnds) {
    RunRecord run = new_run("01a");
    run.usage.net_rx_bytes = ~0ULL;
    run.exit_code = -1;
    Json document = Json::parse(to_json(run));
    EXPECT_EQ(document["usage"]["net_rx_bytes"].get<std::uint64_t>(), ~0ULL);
    EXPECT_EQ(document["exit_code"], -1);
}

/// Records of every shape, the same at each test run.
class RandomRecords {
public:
    RunRecord next() {
        RunRecord run = new_run(text(), text(), integer(0, 1'000'000'000));
        for (auto* member :
             {&run.batch, &run.job, &run.reason, &run.image_source, &run.image_digest, &run.image_provider,
              &run.kernel_path, &run.kernel_digest, &run.accel, &run.net_mode, &run.manifest, &run.manifest_digest,
              &run.log_stdout, &run.log_stderr, &run.log_console, &run.error})
            *member = text();
        run.status = static_cast<RunStatus>(integer(0, 4));
        if (coin()) run.exit_code = static_cast<int>(integer(-1000, 1000));
        if (coin()) run.signal = static_cast<int>(integer(0, 64));
        if (coin()) run.started_at = instant(integer(0, 1'000'000'000));
        if (coin()) run.finished_at = instant(integer(0, 1'000'000'000));
        run.started_before_failure = coin();
        run.warm = coin();
        for (auto* phase : {&run.phases.resolve_ms, &run.phases.boot_ms, &run.phases.exec_ms, &run.phases.teardown_ms})
            if (coin()) *phase = static_cast<double>(integer(0, 1 << 30)) / 64;
        run.usage.cpu_ms = static_cast<std::uint64_t>(integer(0, std::numeric_limits<std::int64_t>::max()));
        for (auto i = integer(0, 3); i > 0; --i) run.labels[text()] = text();
        for (auto i = integer(0, 3); i > 0; --i)
            run.net_denied.push_back({text(), static_cast<std::uint16_t>(integer(0, 65535)), 1});
        for (auto i = integer(0, 3); i > 0; --i)
            run.artifacts.push_back({text(), static_cast<std::uint64_t>(integer(0, 1 << 30)), text()});
        return run;
    }

private:
    std::int64_t integer(std::int64_t least, std::int64_t most) {
        return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
    }
    bool coin() { return integer(0, 1) == 1; }
    std::string text() {
        std::string out(static_cast<std::size_t>(integer(0, 12)), ' ');
        for (char& c : out) c = static_cast<char>(integer(0, 255));
        return out;
    }
    std::mt19937_64 random_{20'250'101};
};

TEST(RunJsonTest, EveryRecordMakesAWholeDocument) {
    RandomRecords records;
    for (int i = 0; i < 500; ++i) {
        Json run = Json::parse(to_json(records.next(), i % 2 == 0 ? 2 : -1));
        expect_all_fields(run);
    }
}

using RandomStoreTest = OpenStoreTest;

TEST_F(RandomStoreTest, EveryRecordComesBackAsItWasWritten) {
    RandomRecords records;
    for (int i = 0; i < 100; ++i) {
        RunRecord run = records.next();
        run.id += std::to_string(i);
        ASSERT_OK(store().insert_run(run));
        ASSERT_EQ(**store().get_run(run.id), run) << to_json(run);
        RunRecord changed = records.next();
        changed.id = run.id;
        ASSERT_OK(store().update_run(changed));
        ASSERT_EQ(**store().get_run(run.id), changed) << to_json(changed);
    }
}

}  // namespace
}  // namespace vmette::store
