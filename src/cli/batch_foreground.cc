#include "cli/batch_foreground.h"

#include <sys/statvfs.h>

#include <map>
#include <random>

#include "base/text.h"
#include "cli/batch_text.h"
#include "cli/batch_view.h"
#include "scheduler/batch_recall.h"
#include "scheduler/machine_attempts.h"
#include "scheduler/signals.h"

namespace vmette::cli {
namespace {

std::function<double()> make_dice() {
    auto random = std::make_shared<std::mt19937_64>(std::random_device{}());
    return [random] { return std::uniform_real_distribution<double>(0, 1)(*random); };
}

std::optional<std::uint64_t> free_mib(const std::filesystem::path& folder) {
    struct statvfs found{};
    if (::statvfs(folder.c_str(), &found) != 0) return std::nullopt;
    return found.f_bavail * found.f_frsize / kMiB;
}

void say_outcome(Console& console, const store::BatchRecord& batch, const scheduler::BatchOutcome& outcome) {
    const auto& counts = outcome.counts;
    std::string text =
        fmt::format("batch {}: {} of {} succeeded", to_string(outcome.status), counts.succeeded, batch.jobs);
    auto add = [&text](std::uint32_t count, std::string_view what) {
        if (count > 0) text += fmt::format(", {} {}", count, what);
    };
    add(counts.failed, "failed");
    add(counts.unknown, "unknown");
    add(counts.skipped, "skipped");
    add(counts.cancelled, "cancelled");
    add(counts.pending, "left");
    console.note(fmt::format("{} ({})", text, batch.id));
    if (outcome.status == store::BatchStatus::interrupted)
        console.note(fmt::format("`vmette batch resume {}` goes on with it", batch.id));
    else if (counts.failed + counts.unknown > 0)
        console.note(fmt::format("`vmette batch show {} --failed` lists what failed", batch.id));
}

/// The results of attempts that ended while, or died because, their scheduler did.
Result<> put_what_nobody_put(Console& console, const store::BatchRecord& batch,
                             const std::vector<store::RunRecord>& attempts,
                             const std::vector<store::JobChange>& changes) {
    VMETTE_TRY(auto results, scheduler::ResultsFolder::open(batch.results));
    std::map<std::string_view, const store::RunRecord*> runs;
    for (const auto& run : attempts) runs[run.id] = &run;
    for (const auto& change : changes) {
        auto found = runs.find(change.run_id);
        if (found == runs.end() || results.holds(found->second->job, change.run_id)) continue;
        if (auto put = results.put(found->second->job, *found->second); !put) console.warning(put.error().text());
    }
    return {};
}

}  // namespace

const std::string_view kBatchExitCodes =
    "0    every job succeeded\n"
    "1    some did not, or the batch could not be driven to its end\n"
    "2    wrong usage or manifest; nothing was started\n"
    "130  interrupted; `batch resume` goes on with it";

void BatchFlags::define(Arguments& arguments) {
    arguments.option("--events", "FILE", events, "append what happens, one JSON object a line").completes =
        Completes::files;
    arguments.flag("--offline", offline, "use what is in the cache and on this host alone");
    arguments.flag("--json", json, "print the batch's document, as `batch ls --json` has it, on stdout at the end");
}

Result<int> drive_in_foreground(Context& context, const store::BatchRecord& batch, const BatchFlags& flags) {
    VMETTE_TRY(const Layout* layout, context.layout());
    VMETTE_TRY(store::Store * store, context.store());
    Console& console = context.console();
    // Before the threads, which take over what is blocked.
    VMETTE_TRY(auto signals, scheduler::SignalQueue::open());
    std::optional<scheduler::ResultsFolder> results;
    if (!batch.results.empty()) {
        VMETTE_TRY(results, scheduler::ResultsFolder::open(batch.results));
    }
    auto providers = rootfs::Registry::with_builtin();
    VMETTE_TRY(auto attempts,
               scheduler::MachineAttempts::make({*layout, context.clock(), providers, batch.id, batch.name,
                                                 results ? &*results : nullptr, flags.offline}));
    VMETTE_TRY(auto view, BatchView::make(console, context.clock(), batch.id, flags.events.value_or("")));
    scheduler::BatchHost host{*layout,
                              context.clock(),
                              *store,
                              *attempts,
                              signals,
                              *view,
                              scheduler::host_size(),
                              [cache = layout->cache] { return free_mib(cache); },
                              make_dice()};
    auto outcome = scheduler::drive_batch(host, batch);
    view.reset();
    if (!outcome) return Failure(outcome.error());
    if (!console.quiet()) say_outcome(console, batch, *outcome);
    if (flags.json) {
        VMETTE_TRY(auto ended, store::Batches(*store).find(batch.id));
        VMETTE_CHECK_OK(console.write(batch_json(ended, outcome->counts) + "\n"));
    }
    return scheduler::batch_exit_code(*outcome);
}

Result<store::BatchRecord> take_batch(Context& context, const std::string& id) {
    // The sweep first: runs whose driver died are lost from here on.
    VMETTE_TRY(store::Store * store, context.swept_store());
    store::Batches batches(*store);
    VMETTE_TRY(auto found, batches.find(id));
    auto self = own_identity();
    VMETTE_TRY(auto batch, batches.take(found.id, self, is_alive));
    VMETTE_TRY(auto jobs, batches.jobs(batch.id));
    VMETTE_TRY(auto attempts, batches.attempts(batch.id));
    auto changes = scheduler::recall(jobs, attempts, context.clock().now(), make_dice());
    if (changes.empty()) return batch;
    // First, so that dying in between loses nothing: it is done again then.
    if (!batch.results.empty()) VMETTE_CHECK_OK(put_what_nobody_put(context.console(), batch, attempts, changes));
    VMETTE_CHECK_OK(batches.apply(batch.id, self, changes, true));
    return batch;
}

}  // namespace vmette::cli
