/// The keys of a batch manifest. Batches are not run by this version; editors get their schema all the same.

#include <array>

#include "manifest/keys.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace {

using std::string_view;

constexpr std::array<string_view, 1> kOrder{"priority"};

constinit const TextRule kMemoryShare{[](string_view) { return true; }, "a share of the host's memory, or a size",
                                      "^[0-9]+(%|[KMGT](i?B)?)?$"};
constinit const TextRule kReason{
    [](string_view) { return true; }, "a reason, or exit:CODE",
    "^(exited|signaled|timeout|idle|oom|vm-error|setup-error|image-error|exec-error|stopped|lost|"
    "cancelled|exit:[0-9]{1,3})$"};

constinit const std::array kPoolKeys{
    Key{.name = "vms", .kind = Kind::integer, .help = "how many run at once", .fallback = "8", .min = 1},
    Key{.name = "memory",
        .help = "what all of them may take, of the host's or as a size",
        .fallback = R"("75%")",
        .rule = &kMemoryShare},
    Key{.name = "vcpus", .kind = Kind::integer, .help = "of all of them; 0: no bound", .fallback = "0"},
    Key{.name = "shared", .kind = Kind::boolean, .help = "the bounds hold across processes on the host"},
};

constinit const std::array kRetryKeys{
    Key{.name = "max", .kind = Kind::integer, .help = "tries after the first"},
    Key{.name = "on", .kind = Kind::text_list, .help = "what is tried again", .rule = &kReason},
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
        .fallback = "0"},
    Key{.name = "deadline", .kind = Kind::duration, .help = "of the whole batch; 0: none", .fallback = R"("0")"},
    Key{.name = "order",
        .kind = Kind::choice,
        .help = "priority, then the file's order",
        .fallback = R"("priority")",
        .choices = kOrder},
    Key{.name = "results", .kind = Kind::host_path, .help = "one folder a job: stdout, stderr, run.json, artifacts"},
};

constinit const std::array kJobKeys{
    Key{.name = "name", .help = "unique; a template when the job has a matrix or a file", .rule = &kAnyText},
    Key{.name = "priority", .kind = Kind::integer, .help = "higher goes first", .fallback = "0", .min = INT32_MIN},
    Key{.name = "needs", .kind = Kind::text_list, .help = "jobs that must have succeeded", .rule = &kAnyText},
    Key{.name = "matrix", .kind = Kind::free, .help = "values of the template's variables; `exclude` leaves some out"},
    Key{.name = "from", .kind = Kind::host_path, .help = "a JSON Lines or CSV file, one job a line"},
    Key{.name = "retry", .kind = Kind::table, .help = "in place of the batch's", .children = kRetryKeys},
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
    Key{.name = "job", .kind = Kind::table_list, .help = "the jobs", .children = kJobKeys},
};

constinit const Key kRoot{.kind = Kind::table, .children = kRootKeys};

}  // namespace

const Key& batch_root() { return kRoot; }

}  // namespace vmette::manifest
