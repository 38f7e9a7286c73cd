#pragma once
/// The one line that a person who waits is shown.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "cli/console.h"
#include "rootfs/provider.h"

namespace vmette::cli {

/// What the line says: step, bytes, rate and time left.
std::string progress_text(const rootfs::Progress& progress, Duration since_start);

/// Rewrites a line on stderr, at most ten times a second; writes nothing when stderr is no terminal or quiet was asked.
class ProgressLine {
public:
    ProgressLine(Console& console, const Clock& clock) : console_(console), clock_(clock) {}
    ~ProgressLine() { clear(); }
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    void update(const rootfs::Progress& progress);
    void show(std::string_view text);
    /// Takes the line away; the next update brings it back.
    void clear();

private:
    rootfs::Progress sum(const rootfs::Progress& progress);
    bool wanted() const { return console_.err_is_terminal() && !console_.quiet(); }

    Console& console_;
    const Clock& clock_;
    std::string step_;
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> items_;  ///< bytes done and in all
    MonotonicTime step_start_{};
    std::optional<MonotonicTime> last_;
    bool shown_ = false;
};

}  // namespace vmette::cli
