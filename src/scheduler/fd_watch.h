#pragma once
/// Waits until a descriptor of somebody else's can be read or written, without touching its flags: Asio would make it
/// non-blocking, and O_NONBLOCK belongs to the open file that the user's shell and its other children share.

#include <functional>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::scheduler {

/// One borrowed descriptor, watched through an epoll of its own. Lives on the io_context's thread.
class FdWatch {
public:
    enum class For { reading, writing };

    /// `io_context` kinds that epoll refuses (regular files, /dev/null) are always ready: always_ready() says so, and
    /// wait() calls back at once.
    static Result<FdWatch> make(asio::io_context& io, int fd, For what);

    bool always_ready() const { return !epoll_.is_open(); }
    /// Calls back once, from the loop, when the descriptor is ready (or has an error to be read). Requires that no wait
    /// is under way.
    void wait(std::function<void()> ready);
    void cancel();

private:
    FdWatch(asio::io_context& io, int fd, For what) : io_(&io), epoll_(io), fd_(fd), for_(what) {}

    asio::io_context* io_;
    asio::posix::stream_descriptor epoll_;
    int fd_;
    For for_;
};

}  // namespace vmette::scheduler
