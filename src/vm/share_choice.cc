#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "vm/shares.h"

namespace vmette::vm {
namespace {

/// A message of the vhost-user protocol without payload, and the head of each answer. Source of the format:
/// qemu.org/docs/master/interop/vhost-user.html.
struct VhostUserHead {
    std::uint32_t request;
    std::uint32_t flags;
    std::uint32_t size;
};
constexpr std::uint32_t kGetFeatures = 1, kVersion1 = 1, kIsReply = 4;

/// Why there was no answer.
Error silence(ShareServer& server) {
    auto status = server.process().wait_for(std::chrono::milliseconds(500));
    std::string said = server.last_words();
    if (said.empty()) said = status ? "it " + describe_status(*status) : "it closed the connection";
    return Error{ErrorCode::vm, "virtiofsd does not work here: " + said, nullptr};
}

/// Succeeds when virtiofsd answers: it then stands behind all its own steps (namespaces, chroot, seccomp), which it
/// takes before it reads the first message.
Result<> ask_for_features(ShareServer& server, Duration limit) {
    VhostUserHead head{kGetFeatures, kVersion1, 0};
    if (::send(server.socket(), &head, sizeof head, MSG_NOSIGNAL) != sizeof head) return Failure(silence(server));
    pollfd answer{server.socket(), POLLIN, 0};
    int ready = -1;
    do {
        ready = ::poll(&answer, 1, static_cast<int>(limit.count()));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) return fail(ErrorCode::timeout, "virtiofsd did not answer within {}", format_duration(limit));
    ssize_t n = ::recv(server.socket(), &head, sizeof head, MSG_WAITALL);
    if (n == sizeof head && head.request == kGetFeatures && (head.flags & kIsReply) != 0) return {};
    return Failure(silence(server));
}

Result<std::filesystem::path> try_virtiofs(Duration limit) {
    VMETTE_TRY(auto program, find_virtiofsd());
    // Any folder does, since nothing is asked of it: one that is there already leaves nothing behind.
    VMETTE_TRY(ShareServer server, ShareServer::start("/usr", /*read_only=*/true));
    VMETTE_CHECK_OK(ask_for_features(server, limit));
    return program;
}

}  // namespace

ShareChoice choose_share_transport(Duration limit) {
    auto works = try_virtiofs(limit);
    if (works) return {ShareTransport::virtiofs, "virtiofs: " + works->string()};
    return {ShareTransport::plan9, "9p: " + works.error().text()};
}

}  // namespace vmette::vm
