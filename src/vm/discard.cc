#include "vm/discard.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/units.h"

namespace vmette::vm {
namespace {

/// Allocated bytes that are freed on the spot.
constexpr std::uint64_t kSmall = 32 * kMiB;
/// st_blocks counts in these, whatever the filesystem's block size (stat(2)).
constexpr std::uint64_t kStatBlock = 512;

/// In a process of its own: keeps `fd` until all other ends of the gate are closed, so that its own close is the last.
/// Async-signal-safe calls only.
[[noreturn]] void hold(int fd, int gate) {
    constexpr int kFd = 0, kGate = 1, kRest = 2;
    ::dup2(fd, kGate + 1);
    ::dup2(gate, kGate);
    ::dup2(kGate + 1, kFd);
    ::close_range(kRest, ~0U, 0);
    char nothing = 0;
    while (::read(kGate, &nothing, 1) < 0 && errno == EINTR) {
    }
    ::_exit(0);
}

}  // namespace

Result<> discard(Fd fd) {
    if (!fd) return {};
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return fail_errno("look at a scratch disk");
    if (static_cast<std::uint64_t>(status.st_blocks) * kStatBlock <= kSmall) return {};
    VMETTE_TRY(auto gate, make_pipe());
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    // Twice, so that the one that holds the file is no child of ours and leaves no zombie here.
    pid_t child = ::fork();
    if (child == 0) {
        if (::fork() == 0) hold(fd.get(), gate[0].get());
        ::_exit(0);
    }
    int failed = errno;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    // Without another process the close takes as long as it takes.
    if (child < 0) return Failure(errno_error(failed, "fork to free a scratch disk"));
    fd.reset();
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return {};
}

}  // namespace vmette::vm
