#pragma once
/// The control group in which every command runs: its bounds, its figures, its end.

#include "support.h"

namespace vmette::guest {

struct CommandGroupLimits {
    std::uint64_t memory_free = 0;     ///< bytes that nothing has taken yet
    std::uint64_t memory_reserve = 0;  ///< kept back for kernel and init, bytes
    std::uint32_t pids = 0;            ///< 0: no bound
};

/// What commands may take of the free memory: all but the reserve, which is at least kMinimumReserve, and never less than
/// half. Of the free and not of all memory: a group whose limit is past what the kernel has left never reaches it, and
/// the machine as a whole runs short first, which reclaims the file cache over and over before it kills anything.
std::uint64_t command_memory(const CommandGroupLimits& limits);
constexpr std::uint64_t kMinimumReserve = 8ULL << 20;

/// Of a memory.pressure file: the percentage of the last ten seconds in which all processes waited for memory.
/// 0 when it cannot be read. Format: the kernel's Documentation/accounting/psi.rst.
unsigned full_stall_percent(std::string_view pressure);
/// From this percentage on a group is starved: the default limit of systemd-oomd(8).
constexpr unsigned kStarvedPercent = 60;

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
    /// Kills all that is in it when it does nothing any more but fetch back file pages that it has just been made to
    /// drop. The kernel sees progress in that, and would let it go on for hours. Looks once a second at most.
    void end_if_starved(std::uint64_t now_us);

    std::uint64_t cpu_us() const;
    /// Highest use of memory so far, as the kernel counts it (page cache included).
    std::uint64_t peak_memory_bytes() const;
    /// Processes that the kernel killed for memory, and times that end_if_starved() killed.
    std::uint64_t oom_kills() const;

private:
    std::uint64_t event(const char* file, std::string_view key) const;
    Fd folder_;
    std::uint64_t next_look_us_ = 0;
    std::uint64_t starved_ = 0;
};

}  // namespace vmette::guest
