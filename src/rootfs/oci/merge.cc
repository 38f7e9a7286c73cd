#include "rootfs/oci/merge.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/digest.h"
#include "base/text.h"
#include "base/units.h"
#include "rootfs/feeder.h"
#include "rootfs/report.h"
#include "rootfs/superblock.h"
#include "rootfs/worker_client.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::size_t kPiece = 256 * kKiB;
constexpr std::size_t kLengthBytes = 8;
constexpr std::string_view kSha256 = "sha256:";

const std::string& shown(const LayerInput& layer) {
    return layer.descriptor.digest.empty() ? layer.diff_id : layer.descriptor.digest;
}

const char* to_string(Compression compression) {
    switch (compression) {
        case Compression::lz4:
            return "lz4";
        case Compression::gzip:
            return "gzip";
        case Compression::zstd:
            break;
    }
    return "zstd";
}

/// A piece of a layer; nothing while it has not come.
using Piece = std::optional<std::span<const std::byte>>;

/// All layers one after the other as the worker reads them, each checked as it passes: the digests are of the very
/// bytes that the image is made from, and it is not the worker that says so.
class LayerStream {
public:
    LayerStream(const std::string& name, const std::vector<LayerInput>& layers, LayerSupply* supply)
        : name_(name), layers_(layers), supply_(supply), buffer_(kPiece) {}

    /// For Feeder.
    Result<Piece> next() {
        auto piece = advance();
        if (!piece) error_ = piece.error();
        return piece;
    }
    /// Lets the layers come. Fails with what the supply fails with.
    Result<> let_come() {
        if (all_there()) return {};
        auto whole = supply_->step();
        if (!whole) {
            error_ = whole.error();
            return Failure(*error_);
        }
        whole_ = *whole;
        return {};
    }
    bool all_there() const { return supply_ == nullptr || whole_; }
    /// Reads and checks the rest of the layer that is being read, if it is there. Fails also with what made next()
    /// fail.
    Result<> finish_layer() {
        if (error_) return Failure(*error_);
        if (supply_ != nullptr) return {};
        while (open_ && at_ < layer().descriptor.size) VMETTE_CHECK_OK(read_more());
        return open_ ? end() : Result<>{};
    }
    std::uint64_t done() const { return done_; }

private:
    const LayerInput& layer() const { return layers_[index_]; }

    Result<Piece> advance() {
        while (index_ < layers_.size()) {
            if (!open_) return begin();
            if (at_ < layer().descriptor.size) return read_more();
            VMETTE_CHECK_OK(end());
        }
        return std::span<const std::byte>{};
    }
    Result<Piece> begin() {
        open_ = true;
        at_ = 0;
        hash_ = Sha256();
        for (std::size_t i = 0; i < kLengthBytes; ++i)
            length_[i] = static_cast<std::byte>(layer().descriptor.size >> (8 * i));
        return length_;
    }
    Result<Piece> read_more() {
        std::uint64_t size = layer().descriptor.size;
        auto room = std::span(buffer_).first(std::min<std::uint64_t>(buffer_.size(), size - at_));
        int fd = layer().fd;
        if (supply_ != nullptr) {
            VMETTE_TRY(fd, supply_->look(index_));
            if (fd < 0) return std::nullopt;
        }
        VMETTE_TRY(auto piece, read_piece_at(fd, layer().offset.value_or(0) + at_, room, "read a layer"));
        if (piece.empty() && !all_there()) return std::nullopt;
        if (piece.empty())
            return fail(ErrorCode::bad_image, "{}: the layer {} is cut short: {} bytes of {}", name_, shown(layer()),
                        at_, size);
        hash_.update(piece);
        at_ += piece.size();
        done_ += piece.size();
        return piece;
    }
    Result<> end() {
        std::string found = std::string(kSha256) + hash_.hex();
        if (!layer().descriptor.digest.empty() && found != layer().descriptor.digest)
            return fail(ErrorCode::bad_image, "{}: the layer {} has the digest {}", name_, layer().descriptor.digest,
                        found);
        ++index_;
        open_ = false;
        return {};
    }

    const std::string& name_;
    const std::vector<LayerInput>& layers_;
    LayerSupply* supply_;
    bool whole_ = false;
    std::vector<std::byte> buffer_;
    std::array<std::byte, kLengthBytes> length_{};
    std::size_t index_ = 0;
    bool open_ = false;
    std::uint64_t at_ = 0;
    std::uint64_t done_ = 0;
    Sha256 hash_;
    std::optional<Error> error_;
};

/// What can be told without reading. Returns the bytes of all layers.
Result<std::uint64_t> check_sizes(const std::string& name, const std::vector<LayerInput>& layers, bool supplied) {
    if (layers.empty()) return fail(ErrorCode::bad_image, "{} has no layers", name);
    if (layers.size() > kMaxLayers) return fail(ErrorCode::bad_image, "{} has more than {} layers", name, kMaxLayers);
    std::uint64_t total = 0;
    for (const LayerInput& layer : layers) {
        total += layer.descriptor.size;
        if (supplied) continue;
        struct stat info{};
        if (::fstat(layer.fd, &info) != 0) return fail_errno("look at a layer");
        if (!layer.offset && static_cast<std::uint64_t>(info.st_size) != layer.descriptor.size)
            return fail(ErrorCode::bad_image, "{}: the layer {} has {} bytes instead of {}", name, shown(layer),
                        info.st_size, layer.descriptor.size);
    }
    return total;
}

Result<> check_diff_ids(const std::string& name, const std::vector<LayerInput>& layers, std::string_view found) {
    for (const LayerInput& layer : layers) {
        std::size_t end = std::min(found.find(' '), found.size());
        std::string diff_id = std::string(kSha256) + std::string(found.substr(0, end));
        found.remove_prefix(std::min(end + 1, found.size()));
        if (!layer.diff_id.empty() && diff_id != layer.diff_id)
            return fail(ErrorCode::bad_image, "{}: the layer {} unpacks to {} instead of {}", name, shown(layer),
                        harmless_line(diff_id, 80), layer.diff_id);
    }
    return {};
}

}  // namespace

Result<StagedImage> merge_layers(const std::string& name, const std::vector<LayerInput>& layers,
                                 Compression compression, const Context& context, LayerSupply* supply) {
    VMETTE_TRY(std::uint64_t total, check_sizes(name, layers, supply != nullptr));
    VMETTE_TRY(StagedImage image, StagedImage::create(context.layout));
    VMETTE_TRY(auto sockets, make_socketpair());
    std::vector<std::string> arguments{"merge", std::to_string(context.limits.max_unpacked),
                                       std::to_string(context.limits.max_entries), to_string(compression)};
    VMETTE_TRY(Worker worker, Worker::start(arguments, sockets[1].get(), {{image.fd(), kWorkerOutput}}));
    sockets[1].reset();
    LayerStream stream(name, layers, supply);
    Feeder feeder(std::move(sockets[0]), [&] { return stream.next(); });
    auto progress = [&](const ProgressLine&) {
        if (context.progress && stream.all_there()) context.progress(Progress{"unpack", stream.done(), total});
    };
    auto step = [&]() -> Result<int> {
        VMETTE_CHECK_OK(stream.let_come());
        return feeder.step();
    };
    auto done = worker.run(step, progress, context.cancelled);
    if (!done) {
        Error error = done.error();
        // What the worker could not read may be other bytes than were asked for: that is the better reason.
        if (error.code != ErrorCode::bad_image) return Failure(error);
        VMETTE_CHECK_OK(stream.finish_layer());
        // The worker's messages are predicates about the image.
        error.message = name + " " + error.message;
        return Failure(error);
    }
    VMETTE_CHECK_OK(feeder.drain());
    VMETTE_CHECK_OK(check_diff_ids(name, layers, (*done)["diff_ids"]));
    VMETTE_CHECK_OK(check_superblock(image.fd(), "the image made from " + name));
    return image;
}

}  // namespace vmette::rootfs::oci
