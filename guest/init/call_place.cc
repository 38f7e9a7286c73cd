#include "call_place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "own_program.h"

namespace vmette::guest {

namespace {

constexpr char kToolFolder[] = "run/vmette/bin";
/// In the PATH of every distribution, and not the package manager's.
constexpr char kLinkFolder[] = "usr/local/bin";
constexpr int kBacklog = 128;

}  // namespace

std::string call_socket(std::uint32_t port) { return text(kCallFolder, "/", port); }

Outcome<> link_send_tool(const Tree& tree) {
    GUEST_TRY(Fd folder, tree.make_directory(kLinkFolder));
    const std::string target = text("/", kToolFolder, "/", kSendTool);
    if (symlinkat(target.c_str(), folder.get(), kSendTool) != 0 && errno != EEXIST)
        return fail_errno("make /", kLinkFolder, "/", kSendTool);
    return {};
}

Outcome<> put_send_tool(const Tree& tree) {
    const std::string path = text(kToolFolder, "/", kSendTool);
    GUEST_CHECK(tree.put_file(path, "", 0755));
    Fd place = tree.open_at(path, O_PATH | O_NOFOLLOW);
    if (!place) return fail_errno("open /", path);
    // Not a copy: it would take a megabyte of the guest's memory.
    if (mount(text("/proc/self/fd/", own_program()).c_str(), text("/proc/self/fd/", place.get()).c_str(), nullptr,
              MS_BIND, nullptr) != 0)
        return fail_errno("put a program at /", path);
    return {};
}

Outcome<Fd> listen_for_calls(std::uint32_t port) {
    if (mkdir(kCallFolder, 0755) != 0 && errno != EEXIST) return fail_errno("make folder ", kCallFolder);
    const std::string path = call_socket(port);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    // A socket gets the mode that its descriptor has at bind(2), less the umask.
    const mode_t mask = umask(0);
    const bool bound = listener && fchmod(listener.get(), 0666) == 0 &&
                       bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    const int refused = errno;
    umask(mask);
    errno = refused;
    if (!bound || listen(listener.get(), kBacklog) != 0) return fail_errno("listen on ", path);
    return listener;
}

}  // namespace vmette::guest
