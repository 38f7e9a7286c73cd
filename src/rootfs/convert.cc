#include "rootfs/convert.h"

#include <vector>

#include "base/units.h"
#include "rootfs/feeder.h"
#include "rootfs/report.h"
#include "rootfs/superblock.h"
#include "rootfs/worker_client.h"

namespace vmette::rootfs {
namespace {

constexpr std::size_t kPiece = 256 * kKiB;

}  // namespace

Result<Built> build_from_tar(const Input& input, const Context& context) {
    VMETTE_TRY(StagedImage image, StagedImage::create(context.layout));
    VMETTE_TRY(auto sockets, make_socketpair());
    std::vector<std::string> arguments{"convert", std::to_string(context.limits.max_unpacked),
                                       std::to_string(context.limits.max_entries)};
    VMETTE_TRY(Worker worker, Worker::start(arguments, sockets[1].get(), {{image.fd(), kWorkerOutput}}));
    sockets[1].reset();
    // The digest is of the very bytes that the image is made from, and it is not the worker that says so.
    Sha256 hash;
    std::vector<std::byte> buffer(kPiece);
    Feeder feeder(std::move(sockets[0]), [&]() -> Result<std::span<const std::byte>> {
        VMETTE_TRY(auto piece, read_piece(input.fd.get(), buffer, "read the archive"));
        hash.update(piece);
        return piece;
    });
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
