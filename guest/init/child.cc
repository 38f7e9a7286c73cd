#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>

#include "copy_tool.h"
#include "launch.h"
#include "own_program.h"

namespace vmette::guest {

namespace {

using wire::FailureKind;

constexpr std::size_t kChildStack = std::size_t{64} << 10;

/// clone3(2) whose child calls `function` on a stack of its own; glibc has no wrapper for it.
long clone_onto(clone_args& args, void (*function)(void*), void* argument) {
    static_assert(sizeof(void*) == 8, "written for x86-64");
    long result = SYS_clone3;
    asm volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "xor %%ebp, %%ebp\n\t"
        "mov %[argument], %%rdi\n\t"
        "call *%[function]\n\t"
        "hlt\n"
        "1:"
        : "+a"(result)
        : "D"(&args), "S"(sizeof args), [function] "r"(function), [argument] "r"(argument)
        : "rcx", "r11", "memory");
    return result;
}

bool is_null_device(const struct stat& status) {
    struct stat null{};
    return S_ISCHR(status.st_mode) && stat("/dev/null", &null) == 0 && null.st_rdev == status.st_rdev;
}

}  // namespace

Child::Child(const wire::Exec& exec, const Account& account, const ChildEnds& ends)
    : exec_(exec),
      account_(account),
      ends_(ends),
      workdir_(exec.workdir.empty() ? "/" : exec.workdir),
      tool_name_(exec.tool == static_cast<std::uint8_t>(wire::Tool::pack) ? kPackTool : kUnpackTool),
      owner_(text(account.uid, ":", account.gid)),
      environment_(make_environment(exec, account)) {
    std::size_t longest = 0;
    for (const std::string& variable : environment_) {
        environment_pointers_.push_back(const_cast<char*>(variable.c_str()));
        longest = std::max(longest, variable.size());
    }
    environment_pointers_.push_back(nullptr);
    for (const std::string& argument : exec_.argv) argument_pointers_.push_back(const_cast<char*>(argument.c_str()));
    argument_pointers_.push_back(nullptr);
    argument_pointers_.reserve(argument_pointers_.size() + 2);
    candidate_.reserve(longest + exec_.argv[0].size() + 2);
}

std::expected<pid_t, LaunchFailure> Child::start(const CommandGroup& group) {
    auto stack = std::make_unique<char[]>(kChildStack);
    clone_args args{};
    args.flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP;
    args.exit_signal = SIGCHLD;
    args.stack = reinterpret_cast<std::uintptr_t>(stack.get()) & ~std::uintptr_t{15};
    args.stack_size = kChildStack - 16;
    args.cgroup = static_cast<std::uint64_t>(group.folder());
    long pid = clone_onto(args, &Child::enter, this);
    if (pid < 0) failure_ = {FailureKind::setup, text("start a process: ", describe_errno(static_cast<int>(-pid)))};
    if (failure_) return std::unexpected(std::move(*failure_));
    return static_cast<pid_t>(pid);
}

void Child::enter(void* self) { static_cast<Child*>(self)->run(); }

void Child::run() {
    reset_process();
    take_descriptors();
    if (exec_.tool != static_cast<std::uint8_t>(wire::Tool::program)) run_tool();
    enter_workdir();
    become_user();
    run_program();
}

/// What init brings itself is init, started again: it needs nothing of the image, which may have no such program.
void Child::run_tool() {
    argument_pointers_.insert(argument_pointers_.begin(), const_cast<char*>(tool_name_.c_str()));
    argument_pointers_.insert(argument_pointers_.begin() + 1, const_cast<char*>(owner_.c_str()));
    syscall(SYS_execveat, own_program(), "", argument_pointers_.data(), environment_pointers_.data(), AT_EMPTY_PATH);
    give_up_errno(FailureKind::setup, "start the guest's end of a copy");
}

void Child::give_up(FailureKind kind, std::string_view message) {
    failure_ = {kind, std::string(message)};
    _exit(127);
}

void Child::give_up_errno(FailureKind kind, std::string_view what) {
    give_up(kind, text(what, ": ", describe_errno(errno)));
}

void Child::reset_process() {
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    setsid();
}

void Child::take_descriptors() {
    // So that the command can open /dev/stdout again, and its terminal, as whoever it is; /dev/null stays everybody's.
    for (const Fd* fd : {&ends_.in, &ends_.out, &ends_.err}) {
        struct stat status{};
        if (account_.uid != 0 && fstat(fd->get(), &status) == 0 && !is_null_device(status)) [[maybe_unused]]
            int owned = fchown(fd->get(), account_.uid, static_cast<gid_t>(-1));
    }
    if (exec_.tty && ioctl(ends_.in.get(), TIOCSCTTY, 0) != 0) give_up_errno(FailureKind::setup, "take the terminal");
    if (dup2(ends_.in.get(), 0) < 0 || dup2(ends_.out.get(), 1) < 0 || dup2(ends_.err.get(), 2) < 0)
        give_up_errno(FailureKind::setup, "take the standard descriptors");
}

void Child::enter_workdir() {
    if (!workdir_.starts_with('/')) give_up(FailureKind::bad_workdir, text("workdir ", workdir_, ": not absolute"));
    if (chdir(workdir_.c_str()) == 0) return;
    if (errno != ENOENT) give_up_errno(FailureKind::bad_workdir, text("workdir ", workdir_));
    for (std::size_t at = workdir_.find('/', 1); at != workdir_.npos; at = workdir_.find('/', at + 1))
        mkdir(workdir_.substr(0, at).c_str(), 0755);
    if (mkdir(workdir_.c_str(), 0755) == 0) {
        [[maybe_unused]] int owned = chown(workdir_.c_str(), account_.uid, account_.gid);
    }
    if (chdir(workdir_.c_str()) != 0) give_up_errno(FailureKind::bad_workdir, text("workdir ", workdir_));
}

void Child::become_user() {
    if (account_.uid == 0 && account_.gid == 0 && account_.groups.empty()) return;
    // System calls, not glibc's wrappers: those would tell the other threads, and there are none.
    if (setgroups(account_.groups.size(), account_.groups.data()) != 0 ||
        syscall(SYS_setresgid, account_.gid, account_.gid, account_.gid) != 0 ||
        syscall(SYS_setresuid, account_.uid, account_.uid, account_.uid) != 0)
        give_up_errno(FailureKind::bad_user, text("become user ", exec_.user));
}

void Child::run_program() {
    const std::string& program = exec_.argv[0];
    if (program.find('/') != std::string::npos)
        try_program(program.c_str());
    else
        search_path();
    if (refused_ != 0) give_up(FailureKind::not_executable, text(program, ": ", describe_errno(refused_)));
    give_up(FailureKind::not_found, text(program, ": no such program"));
}

void Child::search_path() {
    for (const std::string& variable : environment_) {
        if (!variable.starts_with("PATH=")) continue;
        for (std::string_view rest = std::string_view(variable).substr(5); !rest.empty();) {
            std::string_view folder = take_field(rest, ':');
            candidate_.assign(folder.empty() ? "." : folder).append("/").append(exec_.argv[0]);
            try_program(candidate_.c_str());
        }
        return;
    }
}

/// Returns only when it could not be executed; remembers a reason other than "not there".
void Child::try_program(const char* path) {
    // Asked first: an execve(2) of nothing makes a whole address space before it looks, 0.2 ms under emulation.
    if (access(path, F_OK) == 0) {
        execve(path, argument_pointers_.data(), environment_pointers_.data());
        if (errno == ENOENT) give_up(FailureKind::not_executable, text(path, ": its interpreter is not in the image"));
    }
    if (errno != ENOENT && errno != ENOTDIR) refused_ = errno;
}

}  // namespace vmette::guest
