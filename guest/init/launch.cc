#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "files.h"

namespace vmette::guest {

namespace {

using wire::FailureKind;

/// An image's /etc/passwd beyond this is cut, not read for ever.
constexpr std::size_t kMaxAccountFile = 4 * 1024 * 1024;
/// Roomy, but not so much that programs which close every possible descriptor take seconds.
constexpr rlimit kOpenFiles{65536, 1048576};

std::unexpected<LaunchFailure> refuse(FailureKind kind, std::string message) {
    return std::unexpected(LaunchFailure{kind, std::move(message)});
}

/// The child's ends.
struct ChildEnds {
    Fd in, out, err, status;
};

bool make_pipe(Fd& reading, Fd& writing, int reading_flags, int writing_flags) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    reading = Fd(ends[0]);
    writing = Fd(ends[1]);
    fcntl(ends[0], F_SETFL, reading_flags);
    fcntl(ends[1], F_SETFL, writing_flags);
    return true;
}

bool make_terminal(const wire::Exec& exec, Launched& ours, ChildEnds& theirs) {
    ours.out = Fd(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    int unlocked = 0;
    if (!ours.out || ioctl(ours.out.get(), TIOCSPTLCK, &unlocked) != 0) return false;
    theirs.in = Fd(ioctl(ours.out.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!theirs.in) return false;
    theirs.out = Fd(fcntl(theirs.in.get(), F_DUPFD_CLOEXEC, 3));
    theirs.err = Fd(fcntl(theirs.in.get(), F_DUPFD_CLOEXEC, 3));
    ours.in = Fd(fcntl(ours.out.get(), F_DUPFD_CLOEXEC, 3));
    winsize size{};
    size.ws_col = static_cast<unsigned short>(exec.columns);
    size.ws_row = static_cast<unsigned short>(exec.rows);
    ioctl(ours.out.get(), TIOCSWINSZ, &size);
    return theirs.out && theirs.err && ours.in;
}

bool make_descriptors(const wire::Exec& exec, Launched& ours, ChildEnds& theirs) {
    if (!make_pipe(ours.status, theirs.status, O_NONBLOCK, 0)) return false;
    if (exec.tty) return make_terminal(exec, ours, theirs);
    if (exec.stdin_open) {
        if (!make_pipe(theirs.in, ours.in, 0, O_NONBLOCK)) return false;
    } else {
        theirs.in = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
    return theirs.in && make_pipe(ours.out, theirs.out, O_NONBLOCK, 0) &&
           make_pipe(ours.err, theirs.err, O_NONBLOCK, 0);
}

/// What the child does between fork and exec. Each step that fails is told over the status pipe.
class Child {
public:
    Child(const wire::Exec& exec, const Account& account, const CommandGroup& group, ChildEnds ends)
        : exec_(exec), account_(account), group_(group), ends_(std::move(ends)) {}

    [[noreturn]] void run() {
        reset_process();
        take_descriptors();
        enter_workdir();
        become_user();
        run_program();
    }

private:
    [[noreturn]] void give_up(FailureKind kind, std::string_view message) {
        std::string report(1, static_cast<char>(kind));
        report += message;
        write_all(ends_.status.get(), report);
        _exit(127);
    }

    [[noreturn]] void give_up_errno(FailureKind kind, std::string_view what) {
        give_up(kind, text(what, ": ", describe_errno(errno)));
    }

    void reset_process() {
        if (!group_.join()) give_up_errno(FailureKind::setup, "enter the command's cgroup");
        [[maybe_unused]] auto score = write_file("/proc/self/oom_score_adj", "0");
        setrlimit(RLIMIT_NOFILE, &kOpenFiles);
        signal(SIGPIPE, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        umask(022);
        setsid();
    }

    void take_descriptors() {
        // So that the command can open /dev/stdout again, and its terminal, as whoever it is.
        for (const Fd* fd : {&ends_.in, &ends_.out, &ends_.err}) {
            struct stat status {};
            if (fstat(fd->get(), &status) == 0 && status.st_rdev != makedev_null()) [[maybe_unused]]
                int owned = fchown(fd->get(), account_.uid, static_cast<gid_t>(-1));
        }
        if (exec_.tty && ioctl(ends_.in.get(), TIOCSCTTY, 0) != 0)
            give_up_errno(FailureKind::setup, "take the terminal");
        if (dup2(ends_.in.get(), 0) < 0 || dup2(ends_.out.get(), 1) < 0 || dup2(ends_.err.get(), 2) < 0)
            give_up_errno(FailureKind::setup, "take the standard descriptors");
    }

    /// /dev/null is everybody's.
    static dev_t makedev_null() {
        struct stat status {};
        stat("/dev/null", &status);
        return status.st_rdev;
    }

    void enter_workdir() {
        const std::string folder = exec_.workdir.empty() ? "/" : exec_.workdir;
        if (!folder.starts_with('/')) give_up(FailureKind::bad_workdir, text("workdir ", folder, ": not absolute"));
        for (std::size_t at = folder.find('/', 1); at != folder.npos; at = folder.find('/', at + 1))
            mkdir(folder.substr(0, at).c_str(), 0755);
        if (mkdir(folder.c_str(), 0755) == 0) {
            [[maybe_unused]] int owned = chown(folder.c_str(), account_.uid, account_.gid);
        }
        if (chdir(folder.c_str()) != 0) give_up_errno(FailureKind::bad_workdir, text("workdir ", folder));
    }

    void become_user() {
        if (setgroups(account_.groups.size(), account_.groups.data()) != 0 ||
            setresgid(account_.gid, account_.gid, account_.gid) != 0 ||
            setresuid(account_.uid, account_.uid, account_.uid) != 0)
            give_up_errno(FailureKind::bad_user, text("become user ", exec_.user));
    }

    [[noreturn]] void run_program() {
        std::vector<std::string> environment = make_environment(exec_, account_);
        for (const std::string& variable : environment) environment_.push_back(const_cast<char*>(variable.c_str()));
        environment_.push_back(nullptr);
        for (const std::string& argument : exec_.argv) arguments_.push_back(const_cast<char*>(argument.c_str()));
        arguments_.push_back(nullptr);
        const std::string& program = exec_.argv[0];
        if (program.find('/') != std::string::npos)
            try_program(program);
        else
            search_path(program, environment);
        if (refused_ != 0) give_up(FailureKind::not_executable, text(program, ": ", describe_errno(refused_)));
        give_up(FailureKind::not_found, text(program, ": no such program"));
    }

    void search_path(const std::string& program, const std::vector<std::string>& environment) {
        for (const std::string& variable : environment) {
            if (!variable.starts_with("PATH=")) continue;
            for (std::string_view rest = std::string_view(variable).substr(5); !rest.empty();) {
                std::string_view folder = take_field(rest, ':');
                try_program(text(folder.empty() ? "." : folder, "/", program));
            }
            return;
        }
    }

    /// Returns only when it could not be executed; remembers a reason other than "not there".
    void try_program(const std::string& path) {
        execve(path.c_str(), arguments_.data(), environment_.data());
        if (errno == ENOENT && access(path.c_str(), F_OK) == 0)
            give_up(FailureKind::not_executable, text(path, ": its interpreter is not in the image"));
        if (errno != ENOENT && errno != ENOTDIR) refused_ = errno;
    }

    const wire::Exec& exec_;
    const Account& account_;
    const CommandGroup& group_;
    ChildEnds ends_;
    std::vector<char*> environment_, arguments_;
    int refused_ = 0;
};

}  // namespace

std::expected<Launched, LaunchFailure> launch(const wire::Exec& exec, const CommandGroup& group) {
    if (exec.argv.empty() || exec.argv[0].empty()) return refuse(FailureKind::not_found, "no program was named");
    auto account =
        find_account(exec.user, read_file("/etc/passwd", kMaxAccountFile), read_file("/etc/group", kMaxAccountFile));
    if (!account) return refuse(FailureKind::bad_user, account.error());
    Launched ours;
    ChildEnds theirs;
    if (!make_descriptors(exec, ours, theirs))
        return refuse(FailureKind::setup, text("descriptors of the command: ", describe_errno(errno)));
    give_secrets(account->uid, account->gid);
    ours.pid = fork();
    if (ours.pid < 0) return refuse(FailureKind::setup, text("fork: ", describe_errno(errno)));
    if (ours.pid == 0) Child(exec, *account, group, std::move(theirs)).run();
    return ours;
}

}  // namespace vmette::guest
