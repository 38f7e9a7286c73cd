#pragma once
/// The calls of the guest's programs that come by virtio-vsock: as those of the channel, but each on a socket of its
/// own.

#include <functional>
#include <memory>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "base/fd.h"
#include "vm/session.h"

namespace vmette::vm {

/// A call on a connected stream socket. Must be used on the thread that runs `io`, and not outlive that.
std::unique_ptr<GuestCall> make_socket_call(asio::io_context& io, Fd socket);

/// Accepts calls for as long as it lives.
class VsockCalls {
public:
    using Arrival = std::function<void(std::unique_ptr<GuestCall>)>;
    /// `belongs` tells of a connected socket whether the machine's guest is at its other end: others are turned away.
    VsockCalls(asio::io_context& io, Fd listener, std::function<bool(int)> belongs, Arrival arrival);
    VsockCalls(const VsockCalls&) = delete;
    VsockCalls& operator=(const VsockCalls&) = delete;

    /// Handlers run only while `owner` lives.
    void start(std::weak_ptr<void> owner);
    void close();

private:
    void accept();
    void take_callers();

    asio::io_context& io_;
    asio::posix::stream_descriptor listener_;
    std::function<bool(int)> belongs_;
    Arrival arrival_;
    std::weak_ptr<void> owner_;
};

}  // namespace vmette::vm
