#include "scheduler/stop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace vmette::scheduler {

Result<StopRequests> StopRequests::open() {
    StopRequests requests;
    requests.fd_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE));
    if (!requests.fd_) return fail_errno("eventfd");
    return requests;
}

StopRequests::StopRequests(StopRequests&& other) noexcept
    : fd_(std::move(other.fd_)), signal_(other.signal_.load()), waiting_(other.waiting_.load()) {}

void StopRequests::request(int signal) {
    signal_ = signal;
    ++waiting_;
    std::uint64_t one = 1;
    // An eventfd refuses only what would overflow 64 bits.
    [[maybe_unused]] auto written = ::write(fd_.get(), &one, sizeof one);
}

std::optional<int> StopRequests::take() {
    std::uint64_t one = 0;
    if (::read(fd_.get(), &one, sizeof one) != sizeof one) return std::nullopt;
    --waiting_;
    return signal_.load();
}

}  // namespace vmette::scheduler
