#include "scheduler/fd_watch.h"

#include <sys/epoll.h>

#include <cerrno>

#include <asio/post.hpp>

namespace vmette::scheduler {

Result<FdWatch> FdWatch::make(asio::io_context& io, int fd, For what) {
    Fd poller(::epoll_create1(EPOLL_CLOEXEC));
    if (!poller) return fail_errno("epoll_create1");
    FdWatch watch(io, fd, what);
    epoll_event event{};
    event.events = EPOLLONESHOT;
    if (::epoll_ctl(poller.get(), EPOLL_CTL_ADD, fd, &event) == 0)
        watch.epoll_.assign(poller.release());
    else if (errno != EPERM)
        return fail_errno("watch a descriptor");
    return watch;
}

void FdWatch::wait(std::function<void()> ready) {
    if (always_ready()) {
        asio::post(*io_, std::move(ready));
        return;
    }
    epoll_event event{};
    event.events = EPOLLONESHOT | (for_ == For::reading ? EPOLLIN : EPOLLOUT);
    ::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_MOD, fd_, &event);
    epoll_.async_wait(asio::posix::stream_descriptor::wait_read,
                      [this, ready = std::move(ready)](std::error_code error) mutable {
                          if (error) return;
                          // Not on Asio's word alone (is_readable()): a read that blocks would hold up everything.
                          epoll_event seen{};
                          if (::epoll_wait(epoll_.native_handle(), &seen, 1, 0) == 0) return wait(std::move(ready));
                          ready();
                      });
}

void FdWatch::cancel() {
    if (epoll_.is_open()) epoll_.cancel();
}

}  // namespace vmette::scheduler
