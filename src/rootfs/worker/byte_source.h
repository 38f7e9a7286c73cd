#pragma once
/// Streams of bytes, and what undoes their compression. A stream that ends early or fails its own checksum is an error.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"

namespace vmette::rootfs {

class ByteSource {
public:
    virtual ~ByteSource() = default;
    /// The next piece, valid until the next call; empty at the end.
    virtual Result<std::span<const std::byte>> next() = 0;
};

/// Reads a descriptor (borrowed) to its end, or `limit` bytes of it and not one more. Each piece but the last is full.
class FdSource final : public ByteSource {
public:
    explicit FdSource(int fd, std::uint64_t limit = ~std::uint64_t{0}) : fd_(fd), left_(limit), buffer_(kPiece) {}
    Result<std::span<const std::byte>> next() override;

private:
    static constexpr std::size_t kPiece = std::size_t{256} * 1024;
    int fd_;
    std::uint64_t left_;
    std::vector<std::byte> buffer_;
};

/// What `raw` holds, decompressed when its first bytes are those of gzip, zstd or xz. Errors of the stream are
/// `bad_image` with a predicate for a message ("is cut short: …").
Result<std::unique_ptr<ByteSource>> decompressed(std::unique_ptr<ByteSource> raw);

}  // namespace vmette::rootfs
