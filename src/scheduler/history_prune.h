#pragma once
/// Forgetting old runs: rows, logs and artifacts together.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/layout.h"
#include "store/history.h"

namespace vmette::scheduler {

/// What is to go: whatever one of these says, of the runs that are over (store::History::Forgettable).
struct HistoryBounds {
    std::optional<std::uint64_t> keep;       ///< all but so many of the newest
    std::optional<WallTime> older_than;      ///< those made before
    std::optional<std::uint64_t> max_bytes;  ///< the oldest, until the folders of the rest are no larger
};

struct PrunedRuns {
    std::vector<store::History::Forgettable> runs;  ///< newest first
    std::uint64_t bytes = 0;                        ///< of their folders
    std::vector<std::string> problems;              ///< folders that could not be removed; their rows stay
};

/// Among the runs of the filter, whose order and limit are of no account. With `dry_run` nothing is removed and the
/// answer is what would be. Folders go before rows: what an interruption leaves is found again by the next call.
Result<PrunedRuns> prune_history(const Layout& layout, store::Store& store, const store::RunFilter& filter,
                                 const HistoryBounds& bounds, bool dry_run);

}  // namespace vmette::scheduler
