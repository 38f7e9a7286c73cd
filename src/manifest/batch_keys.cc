/// The keys of a batch manifest.

#include <algorithm>
#include <array>
#include <charconv>

#include "manifest/batch.h"
#include "manifest/keys.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace {

using std::string_view;

constexpr std::array<string_view, 1> kOrder{"priority"};

/// The reasons of the specification's table by which an attempt can have failed.
constexpr std::array<string_view, 10> kReasons{"exited",   "signaled",    "timeout",     "idle",       "oom",
                                               "vm-error", "setup-error", "image-error", "exec-error", "lost"};

bool is_retry_reason(string_view text) {
    constexpr string_view kExit = "exit:";
    if (!text.starts_with(kExit)) return std::ranges::find(kReasons, text) != kReasons.end();
    text.remove_prefix(kExit.size());
    std::uint8_t code = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
    return error == std::errc{} && end == text.data() + text.size() && code > 0;
}

constinit const TextRule kReason{
    is_retry_reason,
    "a reason (\"exited\", \"signaled\", \"timeout\", \"idle\", \"oom\", \"vm-error\", \"setup-error\", "
    "\"image-error\", \"exec-error\", \"lost\") or \"exit:CODE\" from 1 to 255",
    "^(exited|signaled|timeout|idle|oom|vm-error|setup-error|image-error|exec-error|lost|exit:[0-9]{1,3})$"};

constexpr std::int64_t kMaxTries = 1000;
constexpr std::int64_t kMaxJobs = 10'000'000;
constexpr std::int64_t kMaxMachines = 4096;

constinit const std::array kPoolKeys{
    Key{.name = "vms",
        .kind = Kind::integer,
        .help = "how many run at once",
        .fallback = "8",
        .min = 1,
        .max = kMaxMachines},
    Key{.name = "memory",
        .kind = Kind::size,
        .help = "what all of them may take, of the host's or as a size",
        .fallback = R"("75%")",
        .min = static_cast<std::int64_t>(kMiB),
        .or_percent = true},
    Key{.name = "vcpus",
        .kind = Kind::integer,
        .help = "of all of them; 0: no bound",
        .fallback = "0",
        .max = UINT32_MAX},
    Key{.name = "shared",
        .kind = Kind::boolean,
        .help = "the bounds hold across processes on the host",
        .fallback = "false"},
};

constinit const std::array kRetryKeys{
    Key{.name = "max", .kind = Kind::integer, .help = "tries after the first", .fallback = "0", .max = kMaxTries},
    Key{.name = "on",
        .kind = Kind::text_list,
        .help = "what is tried again: reasons, or exit:CODE",
        .fallback = R"(["vm-error"])",
        .rule = &kReason},
    Key{.name = "backoff",
        .kind = Kind::duration,
        .help = "before the second try; doubles, with jitter, to at most 5m",
        .fallback = R"("2s")"},
};

constinit const std::array kBatchKeys{
    Key{.name = "fail_fast", .kind = Kind::boolean, .help = "the first failure ends it", .fallback = "false"},
    Key{.name = "max_failures",
        .kind = Kind::integer,
        .help = "stop starting new jobs after so many; 0: never",
        .fallback = "0",
        .max = UINT32_MAX},
    Key{.name = "max_jobs",
        .kind = Kind::integer,
        .help = "a batch that makes more is refused; counted before `exclude`",
        .fallback = "100000",
        .min = 1,
        .max = kMaxJobs},
    Key{.name = "deadline", .kind = Kind::duration, .help = "of the whole batch; 0: none", .fallback = R"("0")"},
    Key{.name = "order",
        .kind = Kind::choice,
        .help = "priority, then the file's order",
        .fallback = R"("priority")",
        .choices = kOrder},
    Key{.name = "results", .kind = Kind::host_path, .help = "one folder a job: stdout, stderr, run.json, artifacts"},
};

constinit const std::array kJobKeys{
    Key{.name = "name", .help = "unique; holds a variable when the job has a matrix or a file", .rule = &kAnyText},
    Key{.name = "priority",
        .kind = Kind::integer,
        .help = "higher goes first",
        .fallback = "0",
        .min = INT32_MIN,
        .max = INT32_MAX},
    Key{.name = "needs",
        .kind = Kind::text_list,
        .help = "jobs, or all jobs of a [[job]] by its name, that must have succeeded",
        .rule = &kAnyText,
        .max_items = kDefaultMaxJobs},
    Key{.name = "matrix", .kind = Kind::free, .help = "values of the template's variables; `exclude` leaves some out"},
    Key{.name = "from", .kind = Kind::host_path, .help = "a .jsonl, .ndjson or .csv file, one job a row"},
    Key{.name = "retry", .kind = Kind::table, .help = "upon the batch's", .children = kRetryKeys},
    Key{.name = "cache", .kind = Kind::boolean, .help = "reuse a stored success of equal inputs", .fallback = "false"},
};

constinit const std::array kRootKeys{
    Key{.name = "schema", .kind = Kind::integer, .help = "the manifest's version", .fallback = "1", .min = 1, .max = 1},
    Key{.name = "name", .help = "of the batch; the file's stem when left out", .rule = &kNameRule},
    Key{.name = "sandbox",
        .kind = Kind::host_path,
        .help = "what every job starts from: a manifest's path, or a table"},
    Key{.name = "pool", .kind = Kind::table, .help = "what runs at once", .children = kPoolKeys},
    Key{.name = "retry", .kind = Kind::table, .help = "the default of every job", .children = kRetryKeys},
    Key{.name = "batch", .kind = Kind::table, .help = "the batch as a whole", .children = kBatchKeys},
    Key{.name = "job",
        .kind = Kind::table_list,
        .help = "the jobs",
        .children = kJobKeys,
        .max_items = kDefaultMaxJobs},
};

constinit const Key kRoot{.kind = Kind::table, .children = kRootKeys};

}  // namespace

const Key& batch_root() { return kRoot; }

}  // namespace vmette::manifest
