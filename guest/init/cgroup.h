#pragma once
/// The control group in which every command runs: its bounds, its figures, its end.

#include "support.h"

namespace vmette::guest {

struct CommandGroupLimits {
    std::uint64_t memory_total = 0;    ///< of the machine, bytes
    std::uint64_t memory_reserve = 0;  ///< kept back for kernel and init, bytes
    std::uint32_t pids = 0;            ///< 0: no bound
};

/// What commands may take of the machine's memory: all but the reserve, which is at least kMinimumReserve, and never
/// less than half.
std::uint64_t command_memory(const CommandGroupLimits& limits);
constexpr std::uint64_t kMinimumReserve = 16ULL << 20;

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

    std::uint64_t cpu_us() const;
    /// Highest use of memory so far, as the kernel counts it (page cache included).
    std::uint64_t peak_memory_bytes() const;
    std::uint64_t oom_kills() const;

private:
    std::uint64_t event(const char* file, std::string_view key) const;
    Fd folder_;
};

}  // namespace vmette::guest
