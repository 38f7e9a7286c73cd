#include "base/fd.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace vmette {

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

void Fd::reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

Result<Fd> open_file(const std::filesystem::path& path, int flags, mode_t mode) {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return fail_errno("open " + path.string());
    return Fd(fd);
}

Result<Fd> open_beneath(const Fd& folder, const std::string& name, int flags, mode_t mode) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC | O_NOFOLLOW;
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    Fd fd(static_cast<int>(::syscall(SYS_openat2, folder.get(), name.c_str(), &how, sizeof how)));
    if (!fd) return fail_errno("open " + name);
    return fd;
}

Result<Fd> duplicate(int fd) {
    int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return fail_errno("duplicate a descriptor");
    return Fd(copy);
}

std::uint64_t raise_descriptor_limit() {
    constexpr rlim_t kEnough = 65'536;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    rlimit raised{std::max(limit.rlim_cur, std::min(limit.rlim_max, kEnough)), limit.rlim_max};
    return ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

Result<std::array<Fd, 2>> make_socketpair(bool non_blocking) {
    int fds[2];
    int type = SOCK_STREAM | SOCK_CLOEXEC | (non_blocking ? SOCK_NONBLOCK : 0);
    if (::socketpair(AF_UNIX, type, 0, fds) != 0) return fail_errno("socketpair");
    return std::array<Fd, 2>{Fd(fds[0]), Fd(fds[1])};
}

Result<std::array<Fd, 2>> make_pipe(bool non_blocking) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC | (non_blocking ? O_NONBLOCK : 0)) != 0) return fail_errno("pipe");
    return std::array<Fd, 2>{Fd(fds[0]), Fd(fds[1])};
}

Result<> set_non_blocking(int fd, bool on) {
    int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) return fail_errno("fcntl F_GETFL");
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (::fcntl(fd, F_SETFL, flags) != 0) return fail_errno("fcntl F_SETFL");
    return {};
}

bool is_readable(int fd) {
    pollfd state{fd, POLLIN, 0};
    return ::poll(&state, 1, 0) > 0;
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
    VMETTE_TRY(Fd fd, open_file(path, O_RDONLY));
    return read_all(fd.get(), limit, path.string());
}

Result<std::string> read_all(int fd, std::size_t limit, std::string_view name) {
    std::string out;
    std::array<char, 65536> buffer;
    while (true) {
        ssize_t n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(fmt::format("read {}", name));
        if (n == 0) return out;
        if (out.size() + static_cast<std::size_t>(n) > limit)
            return fail(ErrorCode::bad_input, "{} is larger than {} bytes", name, limit);
        out.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

Result<> write_all(int fd, std::span<const std::byte> data) {
    while (!data.empty()) {
        ssize_t n = ::write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("write");
        data = data.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

Result<> write_all(int fd, std::string_view text) { return write_all(fd, std::as_bytes(std::span(text))); }

Result<> send_fd(int socket, int fd) {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) != 1) return fail_errno("send a descriptor");
    return {};
}

Result<Fd> receive_fd(int socket) {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = -1;
    do {
        n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) return fail_errno("receive a descriptor");
    std::vector<Fd> received;  // all of them are ours now, however many were sent
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
            received.emplace_back(fd);
        }
    }
    if (n == 0) return fail(ErrorCode::io, "the other side closed before it sent a descriptor");
    if (received.size() != 1 || (message.msg_flags & MSG_CTRUNC) != 0)
        return fail(ErrorCode::io, "the other side sent something else than one descriptor");
    return std::move(received.front());
}

}  // namespace vmette
