#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace vmette::guest {

namespace {
constexpr std::uint64_t kPageSize = 4096;  // x86-64 and, in the kernels that vmette makes or finds, arm64
}

std::uint64_t command_memory(const CommandGroupLimits& limits) {
    const std::uint64_t reserve = std::max(limits.memory_reserve, kMinimumReserve);
    const std::uint64_t half = limits.memory_free / 2;
    return limits.memory_free > reserve ? std::max(limits.memory_free - reserve, half) : half;
}

bool is_churning(const MemoryLook& before, const MemoryLook& after, std::uint64_t limit) {
    constexpr std::uint64_t kTimes = 5;
    constexpr std::uint64_t kSmallestCache = 256ULL << 10;
    return after.in_use >= limit - limit / 16 && after.fetched_again > before.fetched_again &&
           after.fetched_again - before.fetched_again >= kTimes * std::max(after.file_cache, kSmallestCache);
}

Outcome<> CommandGroup::create(const char* mount_path, const CommandGroupLimits& limits) {
    Fd top(open(mount_path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!top) return fail_errno("open ", mount_path);
    GUEST_CHECK(write_file(top.get(), "cgroup.subtree_control", "+memory +pids"));
    if (mkdirat(top.get(), "command", 0755) != 0 && errno != EEXIST) return fail_errno("make the command's cgroup");
    folder_ = Fd(openat(top.get(), "command", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!folder_) return fail_errno("open the command's cgroup");
    if (limits.pids != 0) GUEST_CHECK(write_file(folder_.get(), "pids.max", text(limits.pids)));
    memory_events_ = Fd(openat(folder_.get(), "memory.events", O_RDONLY | O_CLOEXEC));
    if (!memory_events_) return fail_errno("open the command's memory.events");
    memory_limit_ = command_memory(limits);
    GUEST_CHECK(write_file(folder_.get(), "memory.max", text(memory_limit_)));
    // A job that lost one process to the OOM killer would go on in a state that nobody tested: it ends whole.
    GUEST_CHECK(write_file(folder_.get(), "memory.oom.group", "1"));
    return {};
}

void CommandGroup::kill_all() const {
    if (folder_) [[maybe_unused]]
        auto killed = write_file(folder_.get(), "cgroup.kill", "1");
}

bool CommandGroup::is_empty() const { return !folder_ || event("cgroup.events", "populated") == 0; }

MemoryLook CommandGroup::look() const {
    const std::string stat = read_file(folder_.get(), "memory.stat", 8192);
    return {.in_use = read_number(folder_.get(), "memory.current"),
            .file_cache = number_after(stat, "file"),
            .fetched_again = number_after(stat, "workingset_refault_file") * kPageSize};
}

void CommandGroup::end_if_starved(std::uint64_t now_us) {
    constexpr std::uint64_t kInterval = 1'000'000;
    if (!folder_ || now_us < next_look_us_) return;
    next_look_us_ = now_us + kInterval;
    const MemoryLook now = look();
    churning_looks_ = is_churning(last_look_, now, memory_limit_) ? churning_looks_ + 1 : 0;
    last_look_ = now;
    if (churning_looks_ < kStarvedLooks) return;
    churning_looks_ = 0;
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

std::uint64_t CommandGroup::oom_kills() const {
    char events[512];
    const ssize_t n = memory_events_ ? pread(memory_events_.get(), events, sizeof events, 0) : 0;
    return number_after({events, n > 0 ? static_cast<std::size_t>(n) : 0}, "oom_kill") + starved_;
}

}  // namespace vmette::guest
