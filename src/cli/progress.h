#pragma once
/// What a person who waits is shown.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "cli/console.h"
#include "rootfs/provider.h"

namespace vmette::cli {

/// What a line says: step, bytes, rate and time left.
std::string progress_text(const rootfs::Progress& progress, Duration since_start);

/// What is known of the step that goes on: the things it works on side by side, and what they add up to.
class ProgressBoard {
public:
    /// Takes one report. Reports of a later step count once all of this one is whole: layers are merged while others
    /// still come.
    void hear(const rootfs::Progress& progress, MonotonicTime now);
    /// A line a thing when there are several, at most `most` of them, those that are not whole first; then one for all.
    std::vector<std::string> lines(MonotonicTime now, std::size_t most) const;
    /// The things that have become whole since the last call, a line each.
    std::vector<std::string> take_whole();

private:
    struct Item {
        std::string name;
        std::uint64_t done = 0, total = 0;
        bool told = false;
        bool whole() const { return total > 0 && done >= total; }
    };
    bool all_whole() const;
    static std::string text_of(const Item& item);

    std::string step_;
    std::vector<Item> items_;
    rootfs::Progress single_;  ///< its texts are not used
    MonotonicTime began_{};
};

/// Rewrites its lines on stderr, at most ten times a second. Without a terminal it says nothing, or a line for each
/// thing that has become whole; nothing when quiet was asked.
class ProgressLine {
public:
    enum class Plain { nothing, lines };
    ProgressLine(Console& console, const Clock& clock, Plain plain = Plain::nothing)
        : console_(console), clock_(clock), plain_(plain) {}
    ~ProgressLine() { clear(); }
    ProgressLine(const ProgressLine&) = delete;
    ProgressLine& operator=(const ProgressLine&) = delete;

    void update(const rootfs::Progress& progress);
    void show(std::string_view text) { show(std::vector{std::string(text)}); }
    /// A line that stays, above the others; nothing when quiet was asked.
    void note(std::string_view text);
    /// Takes the lines away; the next update brings them back.
    void clear();

private:
    void show(const std::vector<std::string>& lines);
    bool moves() const { return console_.err_is_terminal() && !console_.quiet(); }

    Console& console_;
    const Clock& clock_;
    Plain plain_;
    ProgressBoard board_;
    std::optional<MonotonicTime> last_;
    std::size_t shown_ = 0;  ///< lines on the screen
};

}  // namespace vmette::cli
