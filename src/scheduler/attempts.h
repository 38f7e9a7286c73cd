#pragma once
/// What a batch needs of whoever runs its jobs' attempts. The scheduler is tested with a fake; the real one is
/// machine_attempts.h.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

namespace vmette::scheduler {

/// One try of one job.
struct AttemptOrder {
    std::uint32_t job = 0;
    std::uint32_t attempt = 1;
    std::string name;    ///< the job's
    std::string run_id;  ///< a fresh ULID
    bool cache = false;  ///< a stored success of equal inputs will do
};

/// What is heard of an attempt.
struct AttemptEvent {
    enum class Kind { phase, warning, ended };
    std::uint32_t job = 0;
    Kind kind = Kind::phase;
    std::string text;         ///< the phase, the warning, or why there is no record
    store::RunRecord record;  ///< with `ended`; an empty id: the attempt came to nothing, `text` says why
    bool reused = false;      ///< with `ended`: the record is of an earlier run with the same inputs
};

/// Runs attempts beside the caller. Used from one thread.
class Attempts {
public:
    virtual ~Attempts() = default;
    /// Begins one; its end comes as an event, whatever happens.
    virtual void start(AttemptOrder order) = 0;
    /// Asks for its end: with grace, and asked again, at once.
    virtual void stop(std::uint32_t job, int signal) = 0;
    /// Readable while events wait; borrowed.
    virtual int fd() const = 0;
    virtual std::vector<AttemptEvent> take() = 0;
};

}  // namespace vmette::scheduler
