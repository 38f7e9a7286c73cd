#include "rootfs/convert.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/units.h"
#include "rootfs/report.h"
#include "rootfs/superblock.h"
#include "rootfs/worker_client.h"

namespace vmette::rootfs {
namespace {

/// Reads the archive, hashes it, and hands it to the worker: the digest is of the very bytes that the image is made
/// from, and it is not the worker that says so.
class Feeder {
public:
    Feeder(int archive, Fd socket, Sha256& hash) : archive_(archive), socket_(std::move(socket)), hash_(hash) {}

    /// One step for Worker::run: never waits. Ends the worker's input at the end of the archive.
    Result<int> step() {
        while (socket_) {
            if (at_ == filled_) {
                VMETTE_CHECK_OK(read_more());
                if (filled_ == 0) {
                    socket_.reset();
                    break;
                }
            }
            ssize_t n = ::send(socket_.get(), buffer_.data() + at_, filled_ - at_, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return socket_.get();
            // The worker has ended: its report says why.
            if (n < 0) socket_.reset();
            if (n > 0) at_ += static_cast<std::size_t>(n);
        }
        return -1;
    }

    /// Hashes what the worker did not ask for any more.
    Result<> drain() {
        socket_.reset();
        do {
            VMETTE_CHECK_OK(read_more());
        } while (filled_ > 0);
        return {};
    }

private:
    Result<> read_more() {
        ssize_t n = -1;
        do {
            n = ::read(archive_, buffer_.data(), buffer_.size());
        } while (n < 0 && errno == EINTR);
        if (n < 0) return fail_errno("read the archive");
        at_ = 0;
        filled_ = static_cast<std::size_t>(n);
        hash_.update(std::span(buffer_).first(filled_));
        return {};
    }

    static constexpr std::size_t kPiece = 256 * kKiB;
    int archive_;
    Fd socket_;
    Sha256& hash_;
    std::vector<std::byte> buffer_ = std::vector<std::byte>(kPiece);
    std::size_t at_ = 0;
    std::size_t filled_ = 0;
};

}  // namespace

Result<Built> build_from_tar(const Input& input, const Context& context) {
    VMETTE_TRY(StagedImage image, StagedImage::create(context.layout));
    VMETTE_TRY(auto sockets, make_socketpair());
    std::vector<std::string> arguments{"convert", std::to_string(context.limits.max_unpacked),
                                       std::to_string(context.limits.max_entries)};
    VMETTE_TRY(Worker worker, Worker::start(arguments, sockets[1].get(), {{image.fd(), kWorkerOutput}}));
    sockets[1].reset();
    Sha256 hash;
    Feeder feeder(input.fd.get(), std::move(sockets[0]), hash);
    auto progress = [&](const ProgressLine& line) {
        if (context.progress) context.progress(Progress{"unpack", line.done, line.total});
    };
    auto done = worker.run([&] { return feeder.step(); }, progress, context.cancelled);
    if (!done) {
        Error error = done.error();
        // The worker's messages are predicates about the archive; others stand for themselves.
        if (error.code == ErrorCode::bad_image) error.message = input.name + " " + error.message;
        return Failure(error);
    }
    VMETTE_CHECK_OK(feeder.drain());
    VMETTE_CHECK_OK(check_superblock(image.fd(), "the image made from " + input.name));
    return Built{std::move(image), hash.hex()};
}

}  // namespace vmette::rootfs
