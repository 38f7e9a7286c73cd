#include "scheduler/live/place.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace vmette::scheduler::live {
namespace {

constexpr int kBacklog = 64;
/// A process that is still fetching an image accepts nobody; so many may wait, and more are not made to wait for ever.
constexpr timeval kConnectLimit{2, 0};

/// A folder that only the caller may enter. The descriptor is what was checked.
Result<Fd> open_private(const std::filesystem::path& folder) {
    VMETTE_TRY(Fd fd, open_file(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW));
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) return fail_errno(folder.string());
    if (info.st_uid != ::geteuid())
        return fail(ErrorCode::io, "{} belongs to another user (uid {}): a socket in it cannot be trusted",
                    folder.string(), info.st_uid);
    if ((info.st_mode & 077) != 0)
        return fail(ErrorCode::io, "{} is open to other users (mode {:04o}): chmod 700 {}", folder.string(),
                    info.st_mode & 07777, folder.string());
    return fd;
}

/// Short whatever the folder's path is: sun_path holds 107 bytes.
sockaddr_un address_in(const Fd& folder, std::string_view name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    auto path = fmt::format("/proc/self/fd/{}/{}", folder.get(), name);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

Result<Fd> make_socket(int flags) {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!socket) return fail_errno("make a socket");
    return socket;
}

/// And its folder with the last one.
void remove_socket(const std::filesystem::path& socket) {
    ::unlink(socket.c_str());
    ::rmdir(socket.parent_path().c_str());
}

}  // namespace

Result<Place> Place::make(const Layout& layout, std::string_view run_id, std::string_view name) {
    auto path = layout.live_dir(run_id);
    VMETTE_CHECK_OK(make_private_dir(path));
    // Whoever may write the folder above could put another one in its place.
    VMETTE_CHECK_OK(require_private(layout.runtime));
    VMETTE_TRY(Fd folder, open_private(path));
    VMETTE_TRY(Fd socket, make_socket(SOCK_NONBLOCK));
    auto address = address_in(folder, name);
    // A socket gets the mode that its descriptor has at bind(2): never open to others, not even for a moment.
    if (::fchmod(socket.get(), 0600) != 0 ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), kBacklog) != 0) {
        auto error = fail_errno("make the run's socket in " + path.string());
        remove_socket(path / name);
        return error;
    }
    return Place(path / name, std::move(socket));
}

Place::Place(Place&& other) noexcept : socket_(std::move(other.socket_)), listener_(std::move(other.listener_)) {
    other.socket_.clear();
}

Place::~Place() {
    if (!socket_.empty()) remove_socket(socket_);
}

Result<Fd> connect_to(const Layout& layout, std::string_view run_id) {
    VMETTE_TRY(Fd folder, open_private(layout.live_dir(run_id)));
    VMETTE_TRY(Fd socket, make_socket(0));
    auto address = address_in(folder, kControlSocket);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kConnectLimit, sizeof kConnectLimit);
    int done = 0;
    do done = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    while (done != 0 && errno == EINTR);
    if (done != 0 && (errno == ENOENT || errno == ECONNREFUSED))
        return fail(ErrorCode::not_found, "run {} cannot be reached: nobody listens on its socket", run_id);
    if (done != 0 && errno == EAGAIN)
        return fail(ErrorCode::busy, "run {} cannot be reached: too many wait for its process already", run_id);
    if (done != 0) return fail_errno(fmt::format("reach run {}", run_id));
    if (!is_own_peer(socket.get()))
        return fail(ErrorCode::io, "the socket of run {} belongs to a process of another user", run_id);
    constexpr timeval kNoLimit{};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kNoLimit, sizeof kNoLimit);
    return socket;
}

bool has_socket(const Layout& layout, std::string_view run_id) {
    struct stat info{};
    return ::lstat((layout.live_dir(run_id) / kControlSocket).c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

bool is_own_peer(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == ::geteuid() || peer.uid == 0;
}

}  // namespace vmette::scheduler::live
