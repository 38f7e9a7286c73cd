#include "vm/qcow2.h"

#include <algorithm>
#include <array>

namespace vmette::vm {
namespace {

constexpr std::array<std::byte, 4> kMagic = {std::byte{'Q'}, std::byte{'F'}, std::byte{'I'}, std::byte{0xfb}};

constexpr std::uint64_t kExternalData = 1 << 2;
/// dirty, corrupt, external data, compression type, extended L2 entries
constexpr std::uint64_t kKnownFeatures = 0x1f;
constexpr std::uint32_t kEndOfExtensions = 0, kBackingFormat = 0xe2792aca, kDataFileName = 0x44415441;

/// Big-endian numbers at an offset; requires that they lie inside.
class BigEndian {
public:
    explicit BigEndian(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::uint32_t u32(std::size_t at) const { return static_cast<std::uint32_t>(number(at, 4)); }
    std::uint64_t u64(std::size_t at) const { return number(at, 8); }

private:
    std::uint64_t number(std::size_t at, std::size_t size) const {
        std::uint64_t value = 0;
        for (std::byte b : bytes_.subspan(at, size)) value = value << 8 | std::to_integer<std::uint64_t>(b);
        return value;
    }
    std::span<const std::byte> bytes_;
};

Failure names_other_file(std::string_view name, std::string_view what) {
    return fail(
        ErrorCode::bad_input,
        "the disk {} is a qcow2 image with {}: only images that stand alone are taken (qemu-img convert -O qcow2 "
        "makes one)",
        name, what);
}

Failure broken(std::string_view name, std::string_view how) {
    return fail(ErrorCode::bad_input, "the disk {} is a broken qcow2 image: {}", name, how);
}

/// Header extensions: type, length, data padded to 8 bytes, until type 0 or the end of the first cluster.
Result<> check_extensions(std::span<const std::byte> head, std::size_t at, std::size_t end, std::string_view name) {
    BigEndian read(head);
    constexpr std::size_t kHeadBytes = 8;
    while (at + kHeadBytes <= end) {
        std::uint32_t type = read.u32(at), length = read.u32(at + 4);
        if (type == kEndOfExtensions) return {};
        if (type == kDataFileName) return names_other_file(name, "an external data file");
        if (type == kBackingFormat) return names_other_file(name, "a backing file");
        at += kHeadBytes;
        if (length > end - at) return broken(name, "a header extension reaches beyond the first cluster");
        at += (std::size_t{length} + 7) / 8 * 8;
    }
    return {};
}

}  // namespace

bool is_qcow2(std::span<const std::byte> head) {
    return head.size() >= kMagic.size() && std::ranges::equal(head.first(kMagic.size()), kMagic);
}

Result<std::uint64_t> check_qcow2(std::span<const std::byte> head, std::string_view name) {
    constexpr std::size_t kVersion2Bytes = 72, kVersion3Bytes = 104;
    if (head.size() < kVersion2Bytes) return broken(name, "its header is cut short");
    BigEndian read(head);
    std::uint32_t version = read.u32(4);
    if (version != 2 && version != 3) return broken(name, fmt::format("version {} is not known", version));
    if (version == 3 && head.size() < kVersion3Bytes) return broken(name, "its header is cut short");
    if (read.u64(8) != 0 || read.u32(16) != 0) return names_other_file(name, "a backing file");
    std::uint32_t cluster_bits = read.u32(20);
    if (cluster_bits < 9 || cluster_bits > 21) return broken(name, fmt::format("clusters of 2^{} bytes", cluster_bits));
    if (read.u32(32) != 0)
        return fail(ErrorCode::bad_input, "the disk {} is an encrypted qcow2 image, which needs a key: not supported",
                    name);
    std::size_t header_bytes = kVersion2Bytes;
    if (version == 3) {
        std::uint64_t features = read.u64(72);
        if ((features & kExternalData) != 0) return names_other_file(name, "an external data file");
        if ((features & ~kKnownFeatures) != 0)
            return broken(name,
                          fmt::format("it needs features that are not known ({:#x})", features & ~kKnownFeatures));
        header_bytes = read.u32(100);
    }
    std::size_t cluster = std::size_t{1} << cluster_bits;
    std::size_t end = std::min(head.size(), cluster);
    if (version == 3 && (header_bytes < kVersion3Bytes || header_bytes > end || header_bytes % 8 != 0))
        return broken(name, fmt::format("a header of {} bytes", header_bytes));
    VMETTE_CHECK_OK(check_extensions(head, header_bytes, end, name));
    return read.u64(24);
}

}  // namespace vmette::vm
