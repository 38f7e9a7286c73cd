#include "rootfs/worker/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/units.h"

namespace vmette::rootfs {
namespace {

/// Rehashed in one go, so that transfers under way are not kept waiting.
constexpr std::uint64_t kRehash = 8 * kMiB;

Result<bool> is_there(int folder, const std::string& hex, std::uint64_t size) {
    struct stat info{};
    if (::fstatat(folder, hex.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return false;
        return fail_errno("look for a layer in the cache");
    }
    return S_ISREG(info.st_mode) && static_cast<std::uint64_t>(info.st_size) == size;
}

/// True while the open file still has the name: else another process has finished or removed it meanwhile.
bool still_named(int folder, const std::string& name, const struct stat& open) {
    struct stat named{};
    return ::fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_dev == open.st_dev &&
           named.st_ino == open.st_ino;
}

}  // namespace

Result<PartFile::Opened> PartFile::open(int folder, const std::string& hex, std::uint64_t size) {
    VMETTE_TRY(bool whole, is_there(folder, hex, size));
    if (whole) return Opened{State::whole, std::nullopt};
    std::string name = hex + ".part";
    Fd fd(::openat(folder, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno("make a part file in the cache's folder of layers");
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK || errno == EINTR) return Opened{};
        return fail_errno("lock a part file");
    }
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) return fail_errno("look at a part file");
    if (!still_named(folder, name, info)) return Opened{};
    // Between the first look and the lock the other process may have finished, and this is an empty new part.
    VMETTE_TRY(whole, is_there(folder, hex, size));
    if (whole) {
        ::unlinkat(folder, name.c_str(), 0);
        return Opened{State::whole, std::nullopt};
    }
    PartFile part(folder, hex, std::move(fd));
    part.found_ = static_cast<std::uint64_t>(info.st_size);
    if (part.found_ > size) VMETTE_CHECK_OK(part.clear());
    return Opened{State::mine, std::move(part)};
}

Result<bool> PartFile::rehash_some() {
    std::array<std::byte, 256 * kKiB> buffer;
    for (std::uint64_t stop = std::min(found_, bytes_ + kRehash); bytes_ < stop;) {
        auto wanted = std::min<std::uint64_t>(buffer.size(), stop - bytes_);
        ssize_t n = ::pread(fd_.get(), buffer.data(), wanted, static_cast<off_t>(bytes_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read a part file");
        if (n == 0) {
            found_ = bytes_;
            break;
        }
        hash_.update(std::span(buffer).first(static_cast<std::size_t>(n)));
        bytes_ += static_cast<std::uint64_t>(n);
    }
    return bytes_ == found_;
}

Result<> PartFile::append(std::string_view piece) {
    hash_.update(piece);
    while (!piece.empty()) {
        ssize_t n = ::pwrite(fd_.get(), piece.data(), piece.size(), static_cast<off_t>(bytes_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("write a part file");
        bytes_ += static_cast<std::uint64_t>(n);
        piece.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

Result<> PartFile::clear() {
    if (::ftruncate(fd_.get(), 0) != 0) return fail_errno("empty a part file");
    hash_ = Sha256();
    bytes_ = found_ = 0;
    return {};
}

bool PartFile::matches() { return hash_.hex() == hex_; }

Result<> PartFile::publish() {
    if (::fsync(fd_.get()) != 0) return fail_errno("write a layer to disk");
    if (::renameat(folder_, (hex_ + ".part").c_str(), folder_, hex_.c_str()) != 0)
        return fail_errno("name a layer in the cache");
    if (::fsync(folder_) != 0) return fail_errno("write the folder of layers to disk");
    return {};
}

}  // namespace vmette::rootfs
