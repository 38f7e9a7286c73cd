#pragma once
/// Child processes: started from a value, watched by pidfd, gone with their parent.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/units.h"

namespace vmette {

/// What to start. Everything not named here is closed, /dev/null or inherited environment.
struct ProcessSpec {
    std::vector<std::string> argv;  ///< argv[0] is looked up on PATH when it holds no slash
    /// The whole environment when set ("K=V"), else the parent's.
    std::optional<std::vector<std::string>> environment;
    std::filesystem::path directory;  ///< working directory; empty: the parent's
    /// (parent's descriptor, number in the child). 0, 1 and 2 that are not named become /dev/null.
    /// The parent's descriptors stay its own.
    std::vector<std::pair<int, int>> descriptors;
    /// Flags of unshare(2) applied in the child before exec (CLONE_NEWNET, CLONE_NEWUSER, …). With CLONE_NEWUSER the
    /// caller's uid and gid are mapped to 0 of the new namespace.
    int unshare_flags = 0;
    /// Joins these namespaces (descriptors of /proc/PID/ns/…), in this order, before exec.
    std::vector<int> join_namespaces;
};

/// A child of ours. Dropping it while it runs kills it (SIGKILL) and reaps it: a child never outlives its owner.
/// Move-only; not thread-safe.
class Process {
public:
    Process() = default;
    Process(Process&& other) noexcept
        : pid_(std::exchange(other.pid_, 0)),
          pidfd_(std::move(other.pidfd_)),
          status_(std::exchange(other.status_, std::nullopt)) {}
    Process& operator=(Process&& other) noexcept;
    ~Process();

    pid_t pid() const { return pid_; }
    /// Readable once the process has ended; for poll and Asio. Owned by this object.
    int pidfd() const { return pidfd_.get(); }
    explicit operator bool() const { return pid_ > 0; }

    /// pidfd_send_signal; a process that is gone is no error.
    Result<> signal(int number);
    /// Its wait status (as of waitpid) if it has ended; reaps it. Never blocks.
    std::optional<int> try_wait();
    /// Waits at most so long for its end.
    std::optional<int> wait_for(Duration limit);
    /// SIGKILL and reap.
    void kill();

private:
    friend Result<Process> spawn(const ProcessSpec&);
    Process(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

    pid_t pid_ = 0;
    Fd pidfd_;
    std::optional<int> status_;
};

/// Starts a child in a process group of its own, which dies (SIGKILL) when the *thread* that called spawn ends. Signal
/// mask and dispositions are reset. Errors: `not_found` when there is no such program, `vm` when exec or a step before
/// it failed; both name the program.
Result<Process> spawn(const ProcessSpec& spec);

/// What a short-lived helper said.
struct Captured {
    int status = 0;  ///< as of waitpid
    std::string out;
    std::string err;
    bool ok() const;
};

/// Runs a helper to its end, with at most `limit` bytes of each stream kept (more is dropped) and SIGKILL at the time
/// limit (`timeout`).
Result<Captured> run_captured(ProcessSpec spec, Duration time_limit, std::size_t limit = 64 * kKiB);

/// "exited with code 1" or "was killed by signal 9 (Killed)".
std::string describe_status(int wait_status);

/// Where `program` is found on PATH (or itself when it holds a slash and is executable).
std::optional<std::filesystem::path> find_program(const std::string& program);

/// Names one process for as long as the host is up: the pid alone is reused.
struct ProcessIdentity {
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0;  ///< field 22 of /proc/PID/stat, clock ticks since boot
    std::string boot_id;            ///< /proc/sys/kernel/random/boot_id

    bool operator==(const ProcessIdentity&) const = default;
};

/// The identity of a live process (zombies do not count as live).
std::optional<ProcessIdentity> identify_process(pid_t pid);
ProcessIdentity own_identity();
/// True while exactly that process lives.
bool is_alive(const ProcessIdentity& identity);

}  // namespace vmette
