#include "scheduler/history_prune.h"

#include <algorithm>
#include <filesystem>
#include <span>

#include "base/text.h"

namespace vmette::scheduler {
namespace {

/// Rows of one transaction: others' writes wait for no more than these.
constexpr std::size_t kAtOnce = 200;

/// The database may name anything; a folder is only what our own ids name.
bool is_ulid(std::string_view id) {
    constexpr std::size_t kLength = 26;
    return id.size() == kLength &&
           std::ranges::all_of(id, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); });
}

/// Of the folder with all that is in it. Links are not followed.
std::uint64_t folder_bytes(const std::filesystem::path& folder) {
    std::error_code error;
    std::uint64_t total = 0;
    for (auto it = std::filesystem::recursive_directory_iterator(folder, error);
         !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
        std::error_code gone;
        if (it->is_regular_file(gone) && !it->is_symlink(gone)) {
            auto size = it->file_size(gone);
            if (!gone) total += size;
        }
    }
    return total;
}

class Pruner {
public:
    Pruner(const Layout& layout, const HistoryBounds& bounds) : layout_(layout), bounds_(bounds) {}

    PrunedRuns choose(std::vector<store::History::Forgettable> runs) {
        PrunedRuns chosen;
        std::uint64_t kept_bytes = 0, position = 0;
        for (auto& run : runs) {
            bool goes = (bounds_.keep && position >= *bounds_.keep) ||
                        (bounds_.older_than && run.created_at < *bounds_.older_than);
            ++position;
            // Sizes are looked up where they decide or are told: never for runs that stay without a bound on bytes.
            if (!goes && !bounds_.max_bytes) continue;
            std::uint64_t bytes = is_ulid(run.id) ? folder_bytes(layout_.run_dir(run.id)) : 0;
            // Once the newest fill it, all that are older go: no gaps.
            if (bounds_.max_bytes && !goes) goes = (kept_bytes += bytes) > *bounds_.max_bytes;
            if (!goes) continue;
            chosen.bytes += bytes;
            chosen.runs.push_back(std::move(run));
        }
        return chosen;
    }

    Result<> remove(store::History& history, PrunedRuns& chosen) const {
        std::vector<store::History::Forgettable> removed;
        std::span<const store::History::Forgettable> left = chosen.runs;
        while (!left.empty()) {
            auto some = left.first(std::min(kAtOnce, left.size()));
            std::vector<std::string> ids;
            for (const auto& run : some)
                if (remove_folder(run.id, chosen.problems)) {
                    ids.push_back(run.id);
                    removed.push_back(run);
                }
            VMETTE_TRY([[maybe_unused]] auto count, history.forget(ids));
            left = left.subspan(some.size());
        }
        chosen.runs = std::move(removed);
        return {};
    }

private:
    bool remove_folder(const std::string& id, std::vector<std::string>& problems) const {
        if (!is_ulid(id)) return true;
        std::error_code error;
        std::filesystem::remove_all(layout_.run_dir(id), error);
        if (error)
            problems.push_back(fmt::format("cannot remove {}: {}", layout_.run_dir(id).string(), error.message()));
        return !error;
    }

    const Layout& layout_;
    const HistoryBounds& bounds_;
};

}  // namespace

Result<PrunedRuns> prune_history(const Layout& layout, store::Store& store, const store::RunFilter& filter,
                                 const HistoryBounds& bounds, bool dry_run) {
    store::History history(store);
    VMETTE_TRY(auto runs, history.forgettable(filter));
    Pruner pruner(layout, bounds);
    PrunedRuns chosen = pruner.choose(std::move(runs));
    if (!dry_run) VMETTE_CHECK_OK(pruner.remove(history, chosen));
    return chosen;
}

}  // namespace vmette::scheduler
