#pragma once
/// Stored successes in place of runs: what `cache = true` on a job does.

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/layout.h"
#include "manifest/sandbox.h"
#include "rootfs/provider.h"
#include "scheduler/attempts.h"
#include "scheduler/cache_decision.h"
#include "scheduler/cache_inputs.h"
#include "scheduler/stop.h"
#include "store/batches.h"

namespace vmette::scheduler {

/// `gone` with the reason unless all that a finished run left is there as it was written: its logs and artifacts, by
/// their sizes.
Result<> require_whole(const store::RunRecord& run);

/// The result cache as one batch uses it. Its functions may be called by several threads at once, each with a store of
/// its own.
class ResultCache {
public:
    struct Setting {
        const Layout& layout;
        const Clock& clock;
        const rootfs::Registry& providers;
        Environment environment;  ///< of this process
        std::string batch_id, batch_name;
        bool offline = false;
        bool reuse = true;  ///< false: successes are stored, and none is taken
    };
    explicit ResultCache(Setting setting) : setting_(std::move(setting)), trees_(setting_.clock) {}

    /// What is known of one attempt before it begins.
    struct Answer {
        std::optional<store::RunRecord> stored;  ///< an earlier run that stands for it
        CacheDecision decision;                  ///< why not, without one
        std::optional<GatheredInputs> inputs;    ///< absent: they cannot be told
        std::optional<rootfs::Resolved> root;
    };
    /// Looks for a stored success. Never fails: what goes wrong is a reason to run the job. Why it is run is written
    /// down.
    Answer ask(store::Store& store, const manifest::Sandbox& sandbox, const AttemptOrder& order, StopSource& stop);

    /// Stores the run if it succeeded and was given what `answer` was made from: folders are looked at again. Why it
    /// is not stored, and should have been; empty: all is well.
    std::string keep(store::Store& store, const manifest::Sandbox& sandbox, const AttemptOrder& order, Answer& answer,
                     const store::RunRecord& run, StopSource& stop);

    /// How many trees were read.
    std::uint64_t reads() const { return trees_.reads(); }

private:
    Result<rootfs::Resolved> resolve(store::Store& store, const manifest::Sandbox& sandbox, StopSource& stop) const;
    Result<GatheredInputs> gather(store::Store& store, const manifest::Sandbox& sandbox, const rootfs::Resolved& root,
                                  StopSource& stop);
    void find(store::Batches& batches, store::Store& store, const std::string& job, Answer& answer);
    void compare_with_nearest(store::Batches& batches, const std::string& job, Answer& answer) const;
    Result<> put(store::Store& store, const manifest::Sandbox& sandbox, const Answer& answer,
                 const store::RunRecord& run, StopSource& stop);

    Setting setting_;
    TreeDigests trees_;
};

}  // namespace vmette::scheduler
