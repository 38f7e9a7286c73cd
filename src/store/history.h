#pragma once
/// The history as a whole: numbers over many runs, a walk over all of them, forgetting the old.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace vmette::store {

/// How values are spread; percentiles are values that occurred (nearest rank).
struct Spread {
    std::uint64_t count = 0;  ///< of runs that have the value; with none the rest is 0
    double p50 = 0, p95 = 0, max = 0;
    bool operator==(const Spread&) const = default;
};

/// Of the runs that have these keys in common.
struct RunStats {
    std::vector<std::optional<std::string>> keys;  ///< in the order asked for; absent: the runs have none
    std::uint64_t runs = 0;
    std::uint64_t running = 0, succeeded = 0, failed = 0, stopped = 0, lost = 0;
    Spread duration_ms;  ///< of whole runs, as the document has it
    Spread boot_ms;
    Spread memory_bytes;  ///< the peak, of runs whose machine ran

    /// Failed and lost ones among those that are over; absent: none is.
    std::optional<double> failure_rate() const;
};

/// The history of a store; borrows it and is used on its thread.
class History {
public:
    explicit History(Store& store) : store_(store) {}

    /// The runs of Store::list_runs one by one, in bounded memory, until `each` returns false. What is removed
    /// meanwhile is left out.
    Result<> each_run(const RunFilter& filter, const std::function<bool(const RunRecord&)>& each);

    /// The same as values: those of run_fields() in their order, times as RFC 3339, and then the labels as a JSON
    /// object.
    Result<> each_values(const RunFilter& filter, const std::function<bool(std::span<const SqlValue>)>& each);

    /// What may group: name, image, batch, status, reason, day (UTC, of created_at), label:KEY. The filter's order and
    /// limit are of no account. Largest groups first, but days in their order. `bad_input`: an unknown key, or more
    /// groups than anybody reads.
    Result<std::vector<RunStats>> stats(const RunFilter& filter, std::span<const std::string> by);

    /// A run that may be forgotten: it is over, and so is the batch that it belongs to (one that was interrupted is
    /// not: it can be resumed).
    struct Forgettable {
        std::string id;
        WallTime created_at{};
    };
    /// Those among the filter's, newest first.
    Result<std::vector<Forgettable>> forgettable(const RunFilter& filter);
    /// Removes the rows, and all that hangs on them, of those that still may be: how many.
    Result<std::uint64_t> forget(std::span<const std::string> ids);

    /// What the run wrote becomes searchable; `text` is UTF-8 and replaces what was. `not_found` without a row.
    Result<> index_output(std::string_view run_id, std::string_view text);

private:
    Store& store_;
};

}  // namespace vmette::store
