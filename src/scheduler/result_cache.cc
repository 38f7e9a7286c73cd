#include "scheduler/result_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "scheduler/resolve_image.h"

namespace vmette::scheduler {
namespace {

using Cause = CacheDecision::Cause;

/// Without a stored success of a job's own name, so many of the newest are looked through for the nearest.
constexpr std::uint32_t kLookedThrough = 50;

Result<> require_file(const std::filesystem::path& path, std::uint64_t bytes) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0)
        return fail(ErrorCode::not_found, "{} is not there any more", harmless_line(path.string()));
    if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != bytes)
        return fail(ErrorCode::io, "{} is not what was written", harmless_line(path.string()));
    return {};
}

Cancelled until(StopSource& stop) {
    return [&stop] { return stop.end_requested(); };
}

/// The listings of a folder before and after, as far as they were kept.
FileChanges file_changes(store::Batches& batches, const InputChange& change, const std::vector<TreeDigest>& trees) {
    auto now = std::ranges::find(trees, change.after, &TreeDigest::digest);
    if (now == trees.end() || !now->listing || change.before.empty()) return {};
    auto before = batches.tree_listing(change.before);
    if (!before || !*before) return {};
    return changed_files(**before, *now->listing, kNamedFiles);
}

}  // namespace

Result<> require_whole(const store::RunRecord& run) {
    bool success = run.status == store::RunStatus::succeeded && run.reason == "exited" && run.exit_code == 0;
    if (!success) return fail(ErrorCode::io, "the history does not call run {} a success", run.id);
    if (run.log_stdout.empty() || run.log_stderr.empty()) return fail(ErrorCode::not_found, "its logs were not kept");
    const auto& usage = run.usage;
    VMETTE_CHECK_OK(require_file(run.log_stdout, usage.stdout_bytes - usage.stdout_dropped));
    VMETTE_CHECK_OK(require_file(run.log_stderr, usage.stderr_bytes - usage.stderr_dropped));
    auto artifacts = std::filesystem::path(run.log_stdout).parent_path() / "artifacts";
    for (const auto& artifact : run.artifacts)
        VMETTE_CHECK_OK(require_file(artifacts / std::filesystem::path(artifact.path).relative_path(), artifact.bytes));
    return {};
}

ResultCache::Answer ResultCache::ask(store::Store& store, const manifest::Sandbox& sandbox, const AttemptOrder& order,
                                     StopSource& stop) {
    Answer answer;
    store::Batches batches(store);
    auto gathered = [&]() -> Result<> {
        VMETTE_TRY(answer.root, resolve(store, sandbox, stop));
        VMETTE_TRY(answer.inputs, gather(store, sandbox, *answer.root, stop));
        answer.decision.key = cache_key(answer.inputs->inputs);
        return {};
    }();
    if (!gathered) {
        answer.decision.cause = Cause::untold;
        answer.decision.note = gathered.error().text();
    } else if (!setting_.reuse) {
        answer.decision.cause = Cause::bypassed;
    } else {
        find(batches, store, order.name, answer);
        if (answer.stored) return answer;
        if (answer.decision.cause == Cause::first) compare_with_nearest(batches, order.name, answer);
    }
    if (auto put = batches.put_cache_decision(setting_.batch_id, order.job, to_json(answer.decision)); !put)
        log(LogLevel::info, "why {} is run is not written down: {}", order.name, put.error().text());
    return answer;
}

Result<rootfs::Resolved> ResultCache::resolve(store::Store& store, const manifest::Sandbox& sandbox,
                                              StopSource& stop) const {
    auto request = image_request(sandbox, setting_.offline);
    request.for_run = false;
    request.cancelled = until(stop);
    return resolve_image(setting_.layout, store, setting_.clock, setting_.providers, request);
}

Result<GatheredInputs> ResultCache::gather(store::Store& store, const manifest::Sandbox& sandbox,
                                           const rootfs::Resolved& root, StopSource& stop) {
    VMETTE_TRY(auto salt, store::Batches(store).cache_salt());
    InputHost host{setting_.layout, store, trees_, setting_.environment, std::move(salt), until(stop)};
    return gather_inputs(host, sandbox, root);
}

/// A row that is damaged, of other inputs than its key says, or of a run that is not whole any more is none.
void ResultCache::find(store::Batches& batches, store::Store& store, const std::string& job, Answer& answer) {
    const auto& key = answer.decision.key;
    auto found = batches.cached(key);
    if (!found) log(LogLevel::warn, "a stored result cannot be read: {}", found.error().text());
    if (!found || !*found) return;
    auto drop = [&](std::string why) {
        answer.decision.cause = Cause::gone;
        answer.decision.run_id = (*found)->run_id;
        answer.decision.note = std::move(why);
        if (auto removed = batches.remove_cached(key, (*found)->run_id); !removed)
            log(LogLevel::info, "{}", removed.error().text());
    };
    if ((*found)->inputs != to_json(answer.inputs->inputs)) return drop("what is stored of it is damaged");
    auto run = store.get_run((*found)->run_id);
    if (!run) return drop(run.error().text());
    if (!*run) return drop("the history does not have it any more");
    // The name is one of the inputs.
    if ((*run)->job != job) return drop("what is stored of it is damaged");
    if (auto whole = require_whole(**run); !whole) return drop(whole.error().text());
    answer.stored = **std::move(run);
}

void ResultCache::compare_with_nearest(store::Batches& batches, const std::string& job, Answer& answer) const {
    const auto& inputs = answer.inputs->inputs;
    std::vector<store::Batches::CachedResult> candidates;
    auto own = batches.cached_for(setting_.batch_name, job).value_or(std::nullopt);
    if (own)
        candidates.push_back(*own);
    else
        candidates = batches.recent_cached(kLookedThrough).value_or(std::vector<store::Batches::CachedResult>{});
    std::optional<std::vector<InputChange>> least;
    // Of a stranger's result half may differ: beyond that there is nothing to learn from it.
    std::size_t most = own ? SIZE_MAX : inputs.size() / 2;
    for (const auto& candidate : candidates) {
        auto before = cache_inputs_from_json(candidate.inputs);
        if (!before) continue;
        auto changes = compare(*before, inputs);
        if (changes.size() > most || (least && changes.size() >= least->size())) continue;
        least = std::move(changes);
        answer.decision.run_id = candidate.run_id;
    }
    if (!least) return;
    answer.decision.cause = Cause::changed;
    for (auto& change : *least) {
        if (answer.decision.changes.size() == kNamedChanges) {
            answer.decision.more_changes = least->size() - kNamedChanges;
            break;
        }
        auto files = file_changes(batches, change, answer.inputs->trees);
        answer.decision.changes.push_back({std::move(change), std::move(files)});
    }
}

std::string ResultCache::keep(store::Store& store, const manifest::Sandbox& sandbox, const AttemptOrder& order,
                              Answer& answer, const store::RunRecord& run, StopSource& stop) {
    if (run.status != store::RunStatus::succeeded) return {};
    if (!answer.inputs) {
        answer.decision.not_kept = answer.decision.note;
    } else {
        auto kept = put(store, sandbox, answer, run, stop);
        if (kept) return {};
        answer.decision.not_kept = kept.error().text();
    }
    store::Batches batches(store);
    if (auto put = batches.put_cache_decision(setting_.batch_id, order.job, to_json(answer.decision)); !put)
        log(LogLevel::info, "{}", put.error().text());
    return answer.decision.not_kept;
}

Result<> ResultCache::put(store::Store& store, const manifest::Sandbox& sandbox, const Answer& answer,
                          const store::RunRecord& run, StopSource& stop) {
    VMETTE_CHECK_OK(require_whole(run));
    if (run.image_digest != answer.root->digest)
        return fail(ErrorCode::busy, "the image was another one when the machine started");
    VMETTE_TRY(auto after, gather(store, sandbox, *answer.root, stop));
    auto changes = compare(answer.inputs->inputs, after.inputs);
    if (!changes.empty()) return fail(ErrorCode::busy, "{} changed while the job ran", changes.front().name);
    store::Batches batches(store);
    for (const auto& tree : after.trees)
        if (tree.listing) VMETTE_CHECK_OK(batches.put_tree_listing(tree.digest, *tree.listing));
    return batches.put_cached(answer.decision.key, {run.id, to_json(answer.inputs->inputs)});
}

}  // namespace vmette::scheduler
