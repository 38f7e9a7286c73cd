#include "vm/vsock.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
// After sys/socket.h, whose types it uses.
#include <linux/vm_sockets.h>

#include <cerrno>

namespace vmette::vm {
namespace {

/// VHOST_VSOCK_SET_GUEST_CID of linux/vhost.h, which is not C++.
constexpr unsigned long kSetGuestCid = _IOW(0xAF, 0x60, std::uint64_t);
constexpr char kVhostDevice[] = "/dev/vhost-vsock";
constexpr int kBacklog = 64;
/// Addresses are drawn: two machines at once meet in one of 2^31 at most.
constexpr std::uint64_t kFirstCid = 0x10000, kCids = 0x7fff0000;
constexpr int kAttempts = 16;

Result<std::uint32_t> claim_address(const Fd& vhost) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        std::uint64_t drawn = 0;
        if (::getrandom(&drawn, sizeof drawn, 0) != sizeof drawn) continue;
        std::uint64_t cid = kFirstCid + drawn % kCids;
        if (::ioctl(vhost.get(), kSetGuestCid, &cid) == 0) return static_cast<std::uint32_t>(cid);
        if (errno != EADDRINUSE) return fail_errno("take an address of vsock for the guest");
    }
    return fail(ErrorCode::busy, "no free address of vsock was found for the guest");
}

Result<> listen_on(Vsock& vsock, std::uint32_t port) {
    vsock.listener = Fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!vsock.listener) return fail_errno("make a socket of AF_VSOCK");
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = VMADDR_CID_ANY;
    address.svm_port = port != 0 ? port : VMADDR_PORT_ANY;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    socklen_t size = sizeof address;
    if (::bind(vsock.listener.get(), plain, size) != 0) {
        if (errno == EADDRINUSE)
            return fail(ErrorCode::busy, "port {} of vsock is taken on this host, perhaps by another run", port);
        return fail_errno(fmt::format("take port {} of vsock", port));
    }
    if (::listen(vsock.listener.get(), kBacklog) != 0 || ::getsockname(vsock.listener.get(), plain, &size) != 0)
        return fail_errno("listen on vsock");
    vsock.port = address.svm_port;
    return {};
}

}  // namespace

bool vsock_available() { return ::access(kVhostDevice, R_OK | W_OK) == 0; }

Result<Vsock> Vsock::open(std::uint32_t port) {
    Vsock vsock;
    VMETTE_TRY(vsock.vhost, open_file(kVhostDevice, O_RDWR));
    VMETTE_TRY(vsock.cid, claim_address(vsock.vhost));
    VMETTE_CHECK_OK(listen_on(vsock, port));
    return vsock;
}

std::uint32_t vsock_peer(int socket) {
    sockaddr_vm address{};
    socklen_t size = sizeof address;
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0 || address.svm_family != AF_VSOCK)
        return 0;
    return address.svm_cid;
}

}  // namespace vmette::vm
