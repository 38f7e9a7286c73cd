#pragma once
/// What a test sees of the host's processes, by /proc: who descends from whom, and who holds what.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"

namespace vmette::testing {

struct SeenProcess {
    ProcessIdentity identity;
    pid_t parent = 0;
    std::string name;     ///< comm
    std::string command;  ///< argv, joined by spaces
};

/// Every process that descends from `ancestor`, itself left out; zombies too.
std::vector<SeenProcess> descendants(pid_t ancestor);
/// The descendant whose comm starts so ("qemu-system-x86").
std::optional<SeenProcess> find_descendant(pid_t ancestor, std::string_view name_prefix);
/// Those of `seen` that still live.
std::vector<SeenProcess> survivors(const std::vector<SeenProcess>& seen);
/// Processes whose environment holds this text.
std::vector<SeenProcess> with_environment(std::string_view text);
/// Open files (deleted ones as well), working folders, mounts and Unix sockets below `folder`, one line each, of any
/// process but the caller.
std::vector<std::string> holders_of(const std::filesystem::path& folder);
/// VmHWM of a process; 0 when it is gone.
std::uint64_t peak_memory_kib(pid_t pid);
/// How many descriptors a process has open.
std::size_t open_descriptors(pid_t pid);
/// Milliseconds of CPU time (user and system) that a process has used.
std::uint64_t cpu_time_ms(pid_t pid);
std::string describe(const std::vector<SeenProcess>& processes);

}  // namespace vmette::testing
