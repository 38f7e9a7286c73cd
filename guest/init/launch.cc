#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "child.h"
#include "files.h"

namespace vmette::guest {

namespace {

using wire::FailureKind;

/// An image's /etc/passwd beyond this is cut, not read for ever.
constexpr std::size_t kMaxAccountFile = std::size_t{4} << 20;

std::unexpected<LaunchFailure> refuse(FailureKind kind, std::string message) {
    return std::unexpected(LaunchFailure{kind, std::move(message)});
}

/// `ours`, one of the two ends, does not block; the program's does, as it would anywhere.
bool make_pipe(Fd& reading, Fd& writing, const Fd& ours) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    reading = Fd(ends[0]);
    writing = Fd(ends[1]);
    return fcntl(ours.get(), F_SETFL, O_NONBLOCK) == 0;
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
    if (exec.tty) return make_terminal(exec, ours, theirs);
    if (exec.stdin_open) {
        if (!make_pipe(theirs.in, ours.in, ours.in)) return false;
    } else {
        theirs.in = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
    return theirs.in && make_pipe(ours.out, theirs.out, ours.out) && make_pipe(ours.err, theirs.err, ours.err);
}

/// Root needs no look at the image's files: its ids are known, and its home is where everybody expects it.
Outcome<Account> account_of(const std::string& user) {
    if (user.empty() || user == "root" || user == "0") {
        Account root;
        root.home = "/root";
        return root;
    }
    return find_account(user, read_file("/etc/passwd", kMaxAccountFile), read_file("/etc/group", kMaxAccountFile));
}

}  // namespace

std::expected<Launched, LaunchFailure> launch(const wire::Exec& exec, const CommandGroup& group, bool owns_secrets) {
    if (exec.tool > static_cast<std::uint8_t>(wire::Tool::unpack))
        return refuse(FailureKind::setup, "this guest has no such tool");
    if (exec.argv.empty() || exec.argv[0].empty()) return refuse(FailureKind::not_found, "no program was named");
    auto account = account_of(exec.user);
    if (!account) return refuse(FailureKind::bad_user, account.error());
    Launched ours;
    ChildEnds theirs;
    if (!make_descriptors(exec, ours, theirs))
        return refuse(FailureKind::setup, text("descriptors of the command: ", describe_errno(errno)));
    if (owns_secrets) give_secrets(account->uid, account->gid);
    auto started = Child(exec, *account, theirs).start(group);
    if (!started) return std::unexpected(std::move(started.error()));
    ours.pid = *started;
    return ours;
}

}  // namespace vmette::guest
