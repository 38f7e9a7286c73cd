#pragma once
/// The control group in which every command runs: its bounds, its figures, its end.

#include "support.h"

namespace vmette::guest {

struct CommandGroupLimits {
    std::uint64_t memory_free = 0;     ///< bytes that nothing has taken yet
    std::uint64_t memory_reserve = 0;  ///< kept back for kernel and init, bytes
    std::uint32_t pids = 0;            ///< 0: no bound
};

/// What commands may take of the free memory: all but the reserve, which is at least kMinimumReserve, and never less
/// than half. Of the free and not of all memory: a group whose limit is past what the kernel has left never reaches it,
/// and the machine as a whole runs short first, which reclaims the file cache over and over before it kills anything.
std::uint64_t command_memory(const CommandGroupLimits& limits);
constexpr std::uint64_t kMinimumReserve = 8ULL << 20;

/// What a group's memory looks like at one moment, bytes.
struct MemoryLook {
    std::uint64_t in_use = 0;
    std::uint64_t file_cache = 0;
    std::uint64_t fetched_again = 0;  ///< file pages that had been dropped for want of memory, since the group's start
};

/// A group at its limit whose file cache is dropped and fetched again five times and more within a second gets nothing
/// else done. Pressure stall information would not tell: much of the work is unpacking, which it counts as progress.
bool is_churning(const MemoryLook& before, const MemoryLook& after, std::uint64_t limit);
/// So many looks in a row, a second apart, make it starved.
constexpr int kStarvedLooks = 5;

class CommandGroup {
public:
    /// Makes the group below the cgroup2 mount at `mount_path`. It is reached by descriptor from then on, whatever is
    /// mounted over that path later.
    Outcome<> create(const char* mount_path, const CommandGroupLimits& limits);
    /// Its descriptor, for clone3(2).
    int folder() const { return folder_.get(); }
    /// SIGKILL to all that is in it.
    void kill_all() const;
    bool is_empty() const;
    /// Kills all that is in it once it has been churning for some seconds: the kernel sees progress in that, and would
    /// let it go on for hours. Looks once a second at most.
    void end_if_starved(std::uint64_t now_us);

    std::uint64_t cpu_us() const;
    /// Highest use of memory so far, as the kernel counts it (page cache included).
    std::uint64_t peak_memory_bytes() const;
    /// Processes that the kernel killed for memory, and times that end_if_starved() killed.
    std::uint64_t oom_kills() const;

private:
    std::uint64_t event(const char* file, std::string_view key) const;
    MemoryLook look() const;
    Fd folder_;
    Fd memory_events_;  ///< stays open: it is read at both ends of every command
    std::uint64_t memory_limit_ = 0;
    MemoryLook last_look_;
    std::uint64_t next_look_us_ = 0;
    int churning_looks_ = 0;
    std::uint64_t starved_ = 0;
};

}  // namespace vmette::guest
