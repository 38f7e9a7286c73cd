#include "rootfs/superblock.h"

#include <endian.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace vmette::rootfs {
namespace {

constexpr std::size_t kSuperblockSize = 96;
constexpr std::uint32_t kMagic = 0x73717368;
constexpr std::uint64_t kAbsent = ~std::uint64_t{0};

/// The superblock's bytes, read as little-endian numbers at their offsets.
class Superblock {
public:
    explicit Superblock(const std::array<char, kSuperblockSize>& bytes) : bytes_(bytes) {}
    std::uint32_t magic() const { return number<std::uint32_t>(0); }
    std::uint32_t inodes() const { return number<std::uint32_t>(4); }
    std::uint32_t block_size() const { return number<std::uint32_t>(12); }
    unsigned compression() const { return number<std::uint16_t>(20); }
    unsigned block_log() const { return number<std::uint16_t>(22); }
    unsigned major() const { return number<std::uint16_t>(28); }
    unsigned minor() const { return number<std::uint16_t>(30); }
    std::uint64_t bytes_used() const { return number<std::uint64_t>(40); }
    std::uint64_t id_table() const { return number<std::uint64_t>(48); }
    std::uint64_t xattr_table() const { return number<std::uint64_t>(56); }
    std::uint64_t inode_table() const { return number<std::uint64_t>(64); }
    std::uint64_t directory_table() const { return number<std::uint64_t>(72); }
    std::uint64_t fragment_table() const { return number<std::uint64_t>(80); }

private:
    template <typename T>
    T number(std::size_t offset) const {
        std::array<unsigned char, sizeof(T)> raw;
        std::memcpy(raw.data(), bytes_.data() + offset, sizeof(T));
        T value = 0;
        for (std::size_t i = sizeof(T); i-- > 0;) value = static_cast<T>(value << 8 | raw[i]);
        return value;
    }
    const std::array<char, kSuperblockSize>& bytes_;
};

bool consistent(const Superblock& super) {
    if (super.major() != 4 || super.minor() != 0 || super.inodes() == 0) return false;
    if (super.block_log() < 12 || super.block_log() > 20 || super.block_size() != 1U << super.block_log()) return false;
    if (super.bytes_used() <= kSuperblockSize) return false;
    for (std::uint64_t table : {super.id_table(), super.inode_table(), super.directory_table()})
        if (table < kSuperblockSize || table >= super.bytes_used()) return false;
    for (std::uint64_t table : {super.xattr_table(), super.fragment_table()})
        if (table != kAbsent && (table < kSuperblockSize || table >= super.bytes_used())) return false;
    return super.inode_table() < super.directory_table();
}

}  // namespace

Result<> check_superblock(int fd, const std::string& name) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) return fail_errno("look at " + name);
    std::array<char, kSuperblockSize> bytes{};
    ssize_t n = ::pread(fd, bytes.data(), bytes.size(), 0);
    if (n < 0) return fail_errno("read " + name);
    Superblock super(bytes);
    if (static_cast<std::size_t>(n) < bytes.size() || super.magic() != kMagic)
        return fail(ErrorCode::bad_image, "{} is not a squashfs image", name);
    if (!consistent(super))
        return fail(ErrorCode::bad_image, "{} is not a valid squashfs image: its superblock contradicts itself", name);
    // 1 gzip, 2 lzma, 3 lzo, 4 xz, 5 lz4, 6 zstd. Linux never took lzma.
    if (super.compression() < 1 || super.compression() > 6 || super.compression() == 2)
        return fail(ErrorCode::bad_image,
                    "{} is a squashfs image with a compression (number {}) that Linux does not read", name,
                    super.compression());
    // Padding to whole blocks is usual; more is a file that is not what it says, and would fill the cache.
    constexpr std::uint64_t kPadding = 1 << 20;
    if (static_cast<std::uint64_t>(info.st_size) > super.bytes_used() + kPadding)
        return fail(ErrorCode::bad_image, "{} is a squashfs image of {} bytes with {} more behind its end", name,
                    super.bytes_used(), static_cast<std::uint64_t>(info.st_size) - super.bytes_used());
    if (super.bytes_used() > static_cast<std::uint64_t>(info.st_size))
        return fail(ErrorCode::bad_image, "{} is a squashfs image that is cut short: {} bytes of {}", name,
                    info.st_size, super.bytes_used());
    return {};
}

}  // namespace vmette::rootfs
