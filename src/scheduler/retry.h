#pragma once
/// Whether, and when, a job is tried again: a pure function.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "manifest/batch.h"

namespace vmette::scheduler {

/// No wait between two tries is longer than this.
constexpr Duration kMaxBackoff = std::chrono::minutes(5);

/// How an attempt ended.
struct AttemptEnd {
    std::string_view reason;  ///< as in the run's document
    std::optional<int> exit_code;
    /// Before the command began: to repeat it changes nothing, whatever it does.
    bool harmless = false;
};

/// How long to wait before the next try of a job that failed its `attempt`-th (from 1); nothing: no further try.
/// `dice` is a random number of [0, 1): waits are spread over their upper half, so that jobs that failed together do
/// not come back together. An attempt that was lost before its command began is tried again without the rule asking
/// for it, and as often.
std::optional<Duration> retry_after(const manifest::Retry& rule, std::uint32_t attempt, const AttemptEnd& end,
                                    double dice);

/// A rule as one line of JSON, and back. Errors: bad_input.
std::string to_json(const manifest::Retry& rule);
Result<manifest::Retry> retry_from_json(std::string_view text);

}  // namespace vmette::scheduler
