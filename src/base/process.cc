#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace vmette {
namespace {

int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

/// What the child reports through the pipe when it could not exec.
struct ChildFailure {
    int error;
    char step[60];
};

/// Everything the child needs, prepared before the fork: after it only async-signal-safe calls are allowed.
struct ChildPlan {
    const char* program;
    std::vector<char*> argv;
    std::vector<char*> environment;
    const char* directory;
    std::vector<std::pair<int, int>> descriptors;
    int unshare_flags;
    const std::vector<int>* join;
    std::string uid_map;
    std::string gid_map;
    pid_t parent;
};

[[noreturn]] void child_fail(int report, const char* step) {
    ChildFailure failure{errno, {}};
    std::strncpy(failure.step, step, sizeof failure.step - 1);
    [[maybe_unused]] auto n = ::write(report, &failure, sizeof failure);
    ::_exit(127);
}

void write_proc(int report, const char* path, const std::string& text) {
    int fd = ::open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || ::write(fd, text.data(), text.size()) < 0) child_fail(report, path);
    ::close(fd);
}

/// Puts each descriptor on its number. Sources are first moved out of the way of all targets.
void place_descriptors(int& report, std::vector<std::pair<int, int>>& descriptors) {
    // Ours are close-on-exec from birth; what whoever started us left open (a shell's redirections) is not.
    ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    int floor = 3;
    for (auto& [from, to] : descriptors) floor = std::max(floor, to + 1);
    report = ::fcntl(report, F_DUPFD_CLOEXEC, floor);
    if (report < 0) ::_exit(127);
    for (auto& [from, to] : descriptors) {
        from = ::fcntl(from, F_DUPFD_CLOEXEC, floor);
        if (from < 0) child_fail(report, "duplicate a descriptor");
    }
    int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) child_fail(report, "open /dev/null");
    for (int standard = 0; standard < 3; ++standard) ::dup2(null, standard);
    for (auto& [from, to] : descriptors)
        if (::dup2(from, to) < 0) child_fail(report, "place a descriptor");
}

[[noreturn]] void run_child(ChildPlan& plan, int report) {
    // Before anything that can take time: from here on the parent's death is ours. The parent may have died between
    // fork and prctl, so look once more.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) child_fail(report, "prctl PR_SET_PDEATHSIG");
    if (::getppid() != plan.parent) ::_exit(127);
    ::setpgid(0, 0);

    struct sigaction action{};
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);

    for (int ns : *plan.join)
        if (::setns(ns, 0) != 0) child_fail(report, "join a namespace");
    if (plan.unshare_flags != 0) {
        if (::unshare(plan.unshare_flags) != 0) child_fail(report, "unshare namespaces");
        if ((plan.unshare_flags & CLONE_NEWUSER) != 0) {
            write_proc(report, "/proc/self/setgroups", "deny");
            write_proc(report, "/proc/self/uid_map", plan.uid_map);
            write_proc(report, "/proc/self/gid_map", plan.gid_map);
        }
    }
    place_descriptors(report, plan.descriptors);
    if (plan.directory != nullptr && ::chdir(plan.directory) != 0) child_fail(report, "change the working directory");
    ::execve(plan.program, plan.argv.data(), plan.environment.data());
    child_fail(report, "execute");
}

std::vector<char*> c_array(const std::vector<std::string>& strings) {
    std::vector<char*> out;
    for (const auto& s : strings) out.push_back(const_cast<char*>(s.c_str()));
    out.push_back(nullptr);
    return out;
}

}  // namespace

Process& Process::operator=(Process&& other) noexcept {
    if (this != &other) {
        kill();
        pid_ = std::exchange(other.pid_, 0);
        pidfd_ = std::move(other.pidfd_);
        status_ = std::exchange(other.status_, std::nullopt);
    }
    return *this;
}

Process::~Process() { kill(); }

Result<> Process::signal(int number) {
    if (pid_ <= 0 || status_) return {};
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) != 0 && errno != ESRCH)
        return fail_errno(fmt::format("signal process {}", pid_));
    return {};
}

std::optional<int> Process::try_wait() {
    if (pid_ <= 0 || status_) return status_;
    int status = 0;
    pid_t got = -1;
    do {
        got = ::waitpid(pid_, &status, WNOHANG);
    } while (got < 0 && errno == EINTR);
    if (got == pid_) status_ = status;
    return status_;
}

std::optional<int> Process::wait_for(Duration limit) {
    if (pid_ <= 0 || status_) return status_;
    auto deadline = std::chrono::steady_clock::now() + limit;
    while (true) {
        auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
        pollfd ready{pidfd_.get(), POLLIN, 0};
        int n = ::poll(&ready, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1 << 30)));
        if (n < 0 && errno == EINTR) continue;
        return n > 0 ? try_wait() : std::nullopt;
    }
}

void Process::kill() {
    if (pid_ <= 0 || try_wait()) return;
    (void)signal(SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    status_ = status;
}

Result<Process> spawn(const ProcessSpec& spec) {
    auto program = find_program(spec.argv.at(0));
    if (!program) return fail(ErrorCode::not_found, "the program {} is not installed", spec.argv[0]);
    VMETTE_TRY(auto report, make_pipe());

    ChildPlan plan{};
    plan.program = program->c_str();
    plan.argv = c_array(spec.argv);
    if (spec.environment)
        plan.environment = c_array(*spec.environment);
    else
        for (char** entry = environ; *entry != nullptr; ++entry) plan.environment.push_back(*entry);
    if (!spec.environment) plan.environment.push_back(nullptr);
    plan.directory = spec.directory.empty() ? nullptr : spec.directory.c_str();
    plan.descriptors = spec.descriptors;
    plan.unshare_flags = spec.unshare_flags;
    plan.join = &spec.join_namespaces;
    plan.uid_map = fmt::format("0 {} 1\n", ::geteuid());
    plan.gid_map = fmt::format("0 {} 1\n", ::getegid());
    plan.parent = ::getpid();

    // Signals stay blocked across the fork, so that no handler of ours runs in the child.
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = ::fork();
    if (pid == 0) run_child(plan, report[1].get());
    int fork_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return Failure(errno_error(fork_error, "fork"));
    report[1].reset();

    Process process(pid, Fd(pidfd_open(pid)));
    if (!process.pidfd_) return fail_errno("pidfd_open");
    ChildFailure failure{};
    ssize_t n = -1;
    do {
        n = ::read(report[0].get(), &failure, sizeof failure);
    } while (n < 0 && errno == EINTR);
    if (n == sizeof failure) {
        Error cause = errno_error(failure.error, failure.step);
        return fail(ErrorCode::vm, "cannot start {}: {}", program->string(), cause.message);
    }
    return process;
}

bool Captured::ok() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

Result<Captured> run_captured(ProcessSpec spec, Duration time_limit, std::size_t limit) {
    VMETTE_TRY(auto out, make_pipe());
    VMETTE_TRY(auto err, make_pipe());
    spec.descriptors.emplace_back(out[1].get(), 1);
    spec.descriptors.emplace_back(err[1].get(), 2);
    VMETTE_TRY(Process process, spawn(spec));
    out[1].reset();
    err[1].reset();

    Captured captured;
    auto deadline = std::chrono::steady_clock::now() + time_limit;
    auto drain = [&](Fd& fd, std::string& into) {
        char buffer[4096];
        ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n <= 0 && !(n < 0 && errno == EINTR)) fd.reset();
        if (n > 0) into.append(buffer, std::min(static_cast<std::size_t>(n), limit - std::min(limit, into.size())));
    };
    while (true) {
        // The end of the process ends the wait: a grandchild that keeps a pipe open must not hold us up.
        pollfd fds[3] = {{out[0].get(), POLLIN, 0}, {err[0].get(), POLLIN, 0}, {process.pidfd(), POLLIN, 0}};
        auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now()).count();
        if (left <= 0)
            return fail(ErrorCode::timeout, "{} did not end within {}", spec.argv[0], format_duration(time_limit));
        int n = ::poll(fds, 3, static_cast<int>(std::min<std::int64_t>(left, 1 << 30)));
        if (n < 0 && errno != EINTR) return fail_errno("poll");
        if (n <= 0) continue;
        if (fds[0].revents != 0) drain(out[0], captured.out);
        if (fds[1].revents != 0) drain(err[0], captured.err);
        if (fds[0].revents == 0 && fds[1].revents == 0 && fds[2].revents != 0) break;
    }
    captured.status = process.try_wait().value_or(0);
    return captured;
}

std::string describe_status(int status) {
    if (WIFSIGNALED(status))
        return fmt::format("was killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
    return fmt::format("exited with code {}", WEXITSTATUS(status));
}

std::optional<std::filesystem::path> find_program(const std::string& program) {
    auto executable = [](const std::filesystem::path& path) {
        std::error_code ignored;
        return ::access(path.c_str(), X_OK) == 0 && !std::filesystem::is_directory(path, ignored);
    };
    if (program.find('/') != program.npos)
        return executable(program) ? std::optional<std::filesystem::path>(program) : std::nullopt;
    const char* path = ::getenv("PATH");
    // Helpers such as mkfs and slirp4netns live in sbin folders, which are not on every user's PATH.
    std::string folders = std::string(path != nullptr ? path : "/usr/bin:/bin") + ":/usr/sbin:/sbin";
    for (std::size_t start = 0; start <= folders.size();) {
        std::size_t end = std::min(folders.find(':', start), folders.size());
        std::filesystem::path candidate = std::filesystem::path(folders.substr(start, end - start)) / program;
        if (end > start && executable(candidate)) return candidate;
        start = end + 1;
    }
    return std::nullopt;
}

std::optional<ProcessIdentity> identify_process(pid_t pid) {
    auto stat = read_file(fmt::format("/proc/{}/stat", pid), 4096);
    if (!stat) return std::nullopt;
    // The command's name stands in parentheses and may hold anything, so count fields from the last one.
    auto after = stat->rfind(") ");
    if (after == stat->npos || after + 2 >= stat->size()) return std::nullopt;
    char state = (*stat)[after + 2];
    if (state == 'Z' || state == 'X') return std::nullopt;
    std::size_t at = after + 2;
    constexpr int kFieldsFromStateToStart = 19;
    for (int i = 0; i < kFieldsFromStateToStart; ++i) {
        at = stat->find(' ', at);
        if (at == stat->npos) return std::nullopt;
        ++at;
    }
    ProcessIdentity identity;
    identity.pid = pid;
    identity.start_ticks = std::strtoull(stat->c_str() + at, nullptr, 10);
    auto boot = read_file("/proc/sys/kernel/random/boot_id", 64);
    if (boot) identity.boot_id = boot->substr(0, boot->find('\n'));
    return identity;
}

ProcessIdentity own_identity() { return identify_process(::getpid()).value_or(ProcessIdentity{::getpid(), 0, {}}); }

bool is_alive(const ProcessIdentity& identity) {
    return identify_process(static_cast<pid_t>(identity.pid)) == identity;
}

}  // namespace vmette
