#pragma once
/// A damaged history: said, and what can be read of it made a new one.

#include <filesystem>

#include "base/clock.h"
#include "base/layout.h"
#include "scheduler/host.h"
#include "store/salvage.h"
#include "store/store.h"

namespace vmette::scheduler {

/// The doctor's line on the history. `opened`: what opening it gave.
HostCheck examine_history(const Layout& layout, const Result<store::Store*>& opened);

struct Recovered {
    bool was_sound = false;  ///< then nothing was done
    store::Salvage saved;
    std::filesystem::path kept_as;  ///< where the damaged file is now; empty after a dry run
};

/// Puts a history of what can be read in the damaged one's place, which is kept beside it. With `dry_run` says what
/// would be saved. `busy` while runs of it go on, or another process does the same; an interruption leaves the damaged
/// files, under their old names or the new ones.
Result<Recovered> recover_history(const Layout& layout, const Clock& clock, bool dry_run);

}  // namespace vmette::scheduler
