#pragma once
/// virtio-vsock, by the kernel's vhost-vsock: programs of the guest reach the host by AF_VSOCK.

#include <cstdint>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::vm {

/// True when this process may use /dev/vhost-vsock.
bool vsock_available();

/// What one machine's vsock consists of on the host.
struct Vsock {
    Fd vhost;               ///< for QEMU
    std::uint32_t cid = 0;  ///< the guest's address, no other machine's on this host
    Fd listener;            ///< non-blocking; any guest of the host may connect to it
    std::uint32_t port = 0;

    /// `port` 0: any that is free. Errors: not_found, io (there is no vhost-vsock, or not for us), busy (the port is
    /// another process's: a port of AF_VSOCK is the whole host's).
    static Result<Vsock> open(std::uint32_t port);
};

/// The address of the process at the other end of an AF_VSOCK socket; 0 when that has none.
std::uint32_t vsock_peer(int socket);

}  // namespace vmette::vm
