#include "rootfs/feeder.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace vmette::rootfs {

Result<int> Feeder::step() {
    while (socket_) {
        if (piece_.empty()) {
            VMETTE_TRY(auto next, next_());
            if (!next) return -1;
            piece_ = *next;
            if (piece_.empty()) {
                socket_.reset();
                break;
            }
        }
        ssize_t n = ::send(socket_.get(), piece_.data(), piece_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return socket_.get();
        // The worker has ended: its report says why.
        if (n < 0) socket_.reset();
        if (n > 0) piece_ = piece_.subspan(static_cast<std::size_t>(n));
    }
    return -1;
}

Result<> Feeder::drain() {
    socket_.reset();
    do {
        VMETTE_TRY(auto next, next_());
        if (!next) return fail(ErrorCode::protocol, "the image worker is done before all has come");
        piece_ = *next;
    } while (!piece_.empty());
    return {};
}

Result<std::span<const std::byte>> read_piece(int fd, std::span<std::byte> buffer, const char* what) {
    ssize_t n = -1;
    do {
        n = ::read(fd, buffer.data(), buffer.size());
    } while (n < 0 && errno == EINTR);
    if (n < 0) return fail_errno(what);
    return buffer.first(static_cast<std::size_t>(n));
}

Result<std::span<const std::byte>> read_piece_at(int fd, std::uint64_t offset, std::span<std::byte> buffer,
                                                 const char* what) {
    ssize_t n = -1;
    do {
        n = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    } while (n < 0 && errno == EINTR);
    if (n < 0) return fail_errno(what);
    return buffer.first(static_cast<std::size_t>(n));
}

}  // namespace vmette::rootfs
