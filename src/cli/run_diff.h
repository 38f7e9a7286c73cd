#pragma once
/// What two runs do not have in common.

#include <optional>
#include <string>
#include <vector>

#include "store/store.h"

namespace vmette::cli {

/// One thing that differs, as each run has it; absent: it has none.
struct Difference {
    std::string key;
    std::optional<std::string> a, b;
    std::optional<double> change;  ///< of numbers: b / a - 1
    bool number = false;           ///< in the unit that the key ends with
    bool operator==(const Difference&) const = default;
};

struct RunDiff {
    std::vector<Difference> inputs;   ///< keys of the manifest, image, kernel; values of variables are not shown
    std::vector<Difference> results;  ///< how it ended, how long it took, what it used
};

/// Both runs come with their manifests.
RunDiff diff_runs(const store::RunRecord& a, const store::RunRecord& b);

}  // namespace vmette::cli
