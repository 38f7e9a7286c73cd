#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace vmette::guest {

std::uint64_t command_memory(const CommandGroupLimits& limits) {
    const std::uint64_t reserve = std::max(limits.memory_reserve, kMinimumReserve);
    const std::uint64_t half = limits.memory_free / 2;
    return limits.memory_free > reserve ? std::max(limits.memory_free - reserve, half) : half;
}

unsigned full_stall_percent(std::string_view pressure) {
    constexpr std::string_view kKey = "full avg10=";
    const std::size_t at = pressure.find(kKey);
    if (at == std::string_view::npos) return 0;
    std::string_view rest = pressure.substr(at + kKey.size());
    std::uint64_t percent = 0;
    return parse_number(take_field(rest, '.'), 100, percent) ? static_cast<unsigned>(percent) : 0;
}

Outcome<> CommandGroup::create(const char* mount_path, const CommandGroupLimits& limits) {
    Fd top(open(mount_path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top) return fail_errno("open ", mount_path);
    GUEST_CHECK(write_file(top.get(), "cgroup.subtree_control", "+memory +pids"));
    if (mkdirat(top.get(), "command", 0755) != 0 && errno != EEXIST) return fail_errno("make the command's cgroup");
    folder_ = Fd(openat(top.get(), "command", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder_) return fail_errno("open the command's cgroup");
    if (limits.pids != 0) GUEST_CHECK(write_file(folder_.get(), "pids.max", text(limits.pids)));
    GUEST_CHECK(write_file(folder_.get(), "memory.max", text(command_memory(limits))));
    // A job that lost one process to the OOM killer would go on in a state that nobody tested: it ends whole.
    GUEST_CHECK(write_file(folder_.get(), "memory.oom.group", "1"));
    return {};
}

void CommandGroup::kill_all() const {
    if (folder_) [[maybe_unused]]
        auto killed = write_file(folder_.get(), "cgroup.kill", "1");
}

bool CommandGroup::is_empty() const { return !folder_ || event("cgroup.events", "populated") == 0; }

void CommandGroup::end_if_starved(std::uint64_t now_us) {
    constexpr std::uint64_t kInterval = 1'000'000;
    constexpr std::uint64_t kAverageFades = 10'000'000;  // until then it still tells of those that were killed
    if (!folder_ || now_us < next_look_us_) return;
    next_look_us_ = now_us + kInterval;
    if (full_stall_percent(read_file(folder_.get(), "memory.pressure", 4096)) < kStarvedPercent) return;
    next_look_us_ = now_us + kAverageFades;
    ++starved_;
    kill_all();
}

std::uint64_t CommandGroup::event(const char* file, std::string_view key) const {
    return folder_ ? number_after(read_file(folder_.get(), file, 4096), key) : 0;
}

std::uint64_t CommandGroup::cpu_us() const { return event("cpu.stat", "usage_usec"); }

std::uint64_t CommandGroup::peak_memory_bytes() const {
    return folder_ ? read_number(folder_.get(), "memory.peak") : 0;
}

std::uint64_t CommandGroup::oom_kills() const { return event("memory.events", "oom_kill") + starved_; }

}  // namespace vmette::guest
