#pragma once
/// Why a job with `cache = true` was run: what `vmette batch explain` tells, as the queue keeps it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "scheduler/cache_inputs.h"
#include "scheduler/tree_digest.h"

namespace vmette::scheduler {

struct CacheDecision {
    enum class Cause {
        first,     ///< there is no stored success to compare with
        changed,   ///< `changes` from `run_id`, the nearest stored success
        gone,      ///< `run_id` would have done, but what it left is not whole any more: `note`
        untold,    ///< what the job would be given cannot be told: `note`
        bypassed,  ///< the user asked for it
    };
    struct Change {
        InputChange input;
        FileChanges files;  ///< of a folder whose listing was kept
        bool operator==(const Change&) const = default;
    };

    Cause cause = Cause::first;
    std::string key;     ///< empty: not known
    std::string run_id;  ///< the stored success that it was compared with
    std::vector<Change> changes;
    std::uint64_t more_changes = 0;  ///< beyond those in `changes`
    std::string note;
    std::string not_kept;  ///< why its own success was not stored; empty: it was, or has not succeeded
    bool operator==(const CacheDecision&) const = default;
};
std::string_view to_string(CacheDecision::Cause cause);

/// So many changed inputs are named, and of each folder so many files.
constexpr std::size_t kNamedChanges = 50;
constexpr std::size_t kNamedFiles = 10;

/// One line; and back. Errors: bad_input.
std::string to_json(const CacheDecision& decision);
Result<CacheDecision> cache_decision_from_json(std::string_view text);

}  // namespace vmette::scheduler
