#include "vm/disks.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/units.h"
#include "vm/qcow2.h"

namespace vmette::vm {
namespace {

/// The file's start, as much as there is up to `limit`.
Result<std::vector<std::byte>> read_head(int fd, std::size_t limit, const std::string& name) {
    std::vector<std::byte> head(limit);
    std::size_t have = 0;
    while (have < limit) {
        ssize_t n = ::pread(fd, head.data() + have, limit - have, static_cast<off_t>(have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read the disk " + name);
        if (n == 0) break;
        have += static_cast<std::size_t>(n);
    }
    head.resize(have);
    return head;
}

Result<std::uint64_t> size_of(int fd, const struct stat& status, const std::string& name) {
    if (S_ISREG(status.st_mode)) return static_cast<std::uint64_t>(status.st_size);
    std::uint64_t bytes = 0;
    if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0) return fail_errno("read the size of the disk " + name);
    return bytes;
}

/// Opening a device can already do something (a tape rewinds, a FIFO waits), so its type is looked at first, through a
/// descriptor that cannot be swapped for another file in between.
Result<Fd> open_checked(const std::filesystem::path& path, bool read_only, struct stat& status) {
    auto place = open_file(path, O_PATH);
    if (!place && place.error().code == ErrorCode::not_found)
        return fail(ErrorCode::not_found, "the disk {} does not exist", path.string());
    if (!place) return Failure(place.error().because("cannot open the disk"));
    if (::fstat(place->get(), &status) != 0) return fail_errno("look at the disk " + path.string());
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return fail(ErrorCode::bad_input, "{} cannot be a disk: it is neither a regular file nor a block device",
                    path.string());
    std::string again = fmt::format("/proc/self/fd/{}", place->get());
    Fd fd(::open(again.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    if (!fd && !read_only && (errno == EACCES || errno == EPERM || errno == EROFS))
        return fail(ErrorCode::io, "the disk {} cannot be written by this user; say read_only = true to only read it",
                    path.string());
    if (!fd) return fail_errno("open the disk " + path.string());
    return fd;
}

/// A guest may write what it likes to the start of a raw disk. Were qcow2 told by its magic alone, it would choose its
/// disk's format, size and backing file for the next run: the name says what it is, and the magic must agree.
Result<> check_name_and_magic(const std::filesystem::path& path, bool magic) {
    bool named = path.extension() == ".qcow2";
    if (magic && !named)
        return fail(
            ErrorCode::bad_input,
            "the disk {} begins like a qcow2 image, which a guest may have written there; if it is one, name it "
            "*.qcow2",
            path.string());
    if (named && !magic) return fail(ErrorCode::bad_input, "the disk {} is no qcow2 image", path.string());
    return {};
}

}  // namespace

std::string_view to_string(DiskFormat format) { return format == DiskFormat::qcow2 ? "qcow2" : "raw"; }

Result<OpenDisk> open_disk(const std::filesystem::path& path, bool read_only) {
    const std::string name = path.string();
    struct stat status{};
    OpenDisk disk;
    VMETTE_TRY(disk.fd, open_checked(path, read_only, status));
    if (::flock(disk.fd.get(), (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return fail(ErrorCode::busy, "the disk {} is in use by another vmette run", name);
        return fail_errno("lock the disk " + name);
    }
    VMETTE_TRY(disk.bytes, size_of(disk.fd.get(), status, name));
    VMETTE_TRY(auto head, read_head(disk.fd.get(), 4, name));
    VMETTE_CHECK_OK(check_name_and_magic(path, is_qcow2(head)));
    if (is_qcow2(head)) {
        disk.format = DiskFormat::qcow2;
        VMETTE_TRY(head, read_head(disk.fd.get(), kQcow2HeadBytes, name));
        VMETTE_TRY(disk.bytes, check_qcow2(head, name));
    }
    if (disk.bytes == 0) return fail(ErrorCode::bad_input, "the disk {} is empty (0 bytes)", name);
    constexpr std::uint64_t kSector = 512;
    if (disk.bytes % kSector != 0)
        return fail(
            ErrorCode::bad_input,
            "the disk {} is {} bytes long, which is no multiple of {}: is it a disk image? (truncate -s %{} pads it)",
            name, disk.bytes, kSector, kSector);
    return disk;
}

}  // namespace vmette::vm
