#include "vm/shares.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "vm/helper_path.h"
#include "vm/helpers/contract.h"

namespace vmette::vm {
namespace {

struct Connection {
    Fd listening;  ///< virtiofsd accepts one connection on it
    Fd connected;  ///< QEMU's end
};

/// A listening socket whose one connection is ours already. It has an abstract name that the kernel chooses, so nothing
/// is left on disk. Anybody on this host may connect to such a name; a backlog of 0 holds one connection, so that ours
/// having got in means that nobody else is in front of it or behind it.
Result<Connection> connect_to_ourselves() {
    constexpr int kAttempts = 8;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        Connection made;
        made.listening = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        made.connected = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!made.listening || !made.connected) return fail_errno("make a socket for virtiofsd");
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof address.sun_family;
        if (::bind(made.listening.get(), generic, size) != 0) return fail_errno("name a socket for virtiofsd");
        if (::listen(made.listening.get(), 0) != 0) return fail_errno("listen for virtiofsd's connection");
        size = sizeof address;
        if (::getsockname(made.listening.get(), generic, &size) != 0) return fail_errno("read a socket's name");
        if (::connect(made.connected.get(), generic, size) == 0) {
            VMETTE_CHECK_OK(set_non_blocking(made.connected.get(), false));
            return made;
        }
        if (errno != EAGAIN) return fail_errno("connect to virtiofsd's socket");
    }
    return fail(ErrorCode::io, "another process keeps connecting to virtiofsd's socket");
}

}  // namespace

std::string_view to_string(ShareTransport transport) {
    return transport == ShareTransport::virtiofs ? "virtiofs" : "9p";
}

Result<std::filesystem::path> find_virtiofsd() {
    if (const char* named = ::getenv("VMETTE_VIRTIOFSD"); named != nullptr && *named != '\0') {
        if (::access(named, X_OK) == 0) return named;
        return fail(ErrorCode::not_found, "VMETTE_VIRTIOFSD names {}, which is not a program", named);
    }
    // Debian 12 (in qemu-system-common), then Debian 13, Fedora and Arch, each outside PATH.
    for (const char* place : {"/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/virtiofsd"})
        if (::access(place, X_OK) == 0) return place;
    return fail(ErrorCode::not_found,
                "virtiofsd is not installed (Debian package: qemu-system-common on Debian 12, else virtiofsd)");
}

Result<Fd> open_shared_folder(const std::filesystem::path& folder) {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    Fd fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, folder.c_str(), &how, sizeof how)));
    if (fd) return fd;
    switch (errno) {
        case ENOENT:
            return fail(ErrorCode::not_found, "the shared folder {} does not exist", folder.string());
        case ENOTDIR:
            return fail(ErrorCode::bad_input, "{} cannot be shared: it is not a folder", folder.string());
        case ELOOP:
            return fail(ErrorCode::bad_input, "{} cannot be shared: there is a symbolic link in its path now",
                        folder.string());
        default:
            return fail_errno("cannot share " + folder.string());
    }
}

std::vector<std::string> virtiofsd_arguments(const std::string& program) {
    return {
        program,
        fmt::format("--fd={}", helper::kShareSocketFd),
        "--thread-pool-size=0",
        "-o",
        // cache=auto keeps what the guest has open or looked at within a second, and sees the host's changes after it.
        // modcaps: a device node that a guest makes in a writable share would work on the host, outside our mount.
        fmt::format("source={},cache=auto,sandbox=namespace,modcaps=-mknod,log_level=warn", helper::kShareMountPoint),
    };
}

Result<ShareServer> ShareServer::start(const std::filesystem::path& folder, bool read_only) {
    VMETTE_TRY(auto virtiofsd, find_virtiofsd());
    VMETTE_TRY(auto helper_program, find_helper("vmette-share"));
    VMETTE_TRY(Fd opened, open_shared_folder(folder));
    VMETTE_TRY(auto connection, connect_to_ourselves());
    VMETTE_TRY(LastWords words, LastWords::make());

    ProcessSpec spec;
    spec.argv = {helper_program.string(), read_only ? "ro" : "rw", folder.string()};
    for (auto& argument : virtiofsd_arguments(virtiofsd.string())) spec.argv.push_back(std::move(argument));
    // It parses what the guest sends: it gets none of the user's environment.
    spec.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    spec.directory = "/";
    spec.descriptors = {{words.write_end(), 2},
                        {opened.get(), helper::kFolderFd},
                        {connection.listening.get(), helper::kShareSocketFd}};
    VMETTE_TRY(Process process, spawn(spec));
    words.started();
    return ShareServer(std::move(process), std::move(connection.connected), std::move(words));
}

}  // namespace vmette::vm
