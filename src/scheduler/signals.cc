#include "scheduler/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <ctime>
#include <utility>

namespace vmette::scheduler {

Result<SignalQueue> SignalQueue::open() {
    SignalQueue queue;
    sigset_t read, blocked;
    sigemptyset(&read);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&read, number);
    blocked = read;
    sigaddset(&blocked, SIGPIPE);
    queue.fd_ = Fd(::signalfd(-1, &read, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!queue.fd_) return fail_errno("signalfd");
    ::pthread_sigmask(SIG_BLOCK, &blocked, &queue.before_);
    queue.armed_ = true;
    return queue;
}

SignalQueue::SignalQueue(SignalQueue&& other) noexcept
    : fd_(std::move(other.fd_)),
      before_(other.before_),
      armed_(std::exchange(other.armed_, false)),
      pending_(std::exchange(other.pending_, 0)) {}

SignalQueue::~SignalQueue() {
    if (!armed_) return;
    // What came too late for the run is not to kill the process that reports its end, when the mask is lifted.
    sigset_t late;
    sigemptyset(&late);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
        if (sigismember(&before_, number) == 0) sigaddset(&late, number);
    timespec none{};
    while (::sigtimedwait(&late, nullptr, &none) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> SignalQueue::take() {
    if (pending_ != 0) return std::exchange(pending_, 0);
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
}

bool SignalQueue::end_requested() {
    while (pending_ == 0) {
        auto number = take();
        if (!number) return false;
        if (*number != SIGWINCH) pending_ = *number;
    }
    return true;
}

}  // namespace vmette::scheduler
