#include "filesystems.h"

#include <fcntl.h>
#include <unistd.h>

namespace vmette::guest {

namespace {

struct Magic {
    std::size_t offset;
    std::string_view bytes;
    const char* filesystem;
};

using namespace std::string_view_literals;

/// Offsets and values as of the kernel's headers of each filesystem.
constexpr Magic kMagics[] = {
    {0, "hsqs"sv, "squashfs"},      {1024, "\xe2\xe1\xf5\xe0"sv, "erofs"},
    {1080, "\x53\xef"sv, "ext4"},   {0, "XFSB"sv, "xfs"},
    {65600, "_BHRfS_M"sv, "btrfs"}, {32769, "CD001"sv, "iso9660"},
    {54, "FAT12   "sv, "vfat"},     {54, "FAT16   "sv, "vfat"},
    {82, "FAT32   "sv, "vfat"},
};

}  // namespace

const char* detect_filesystem(std::string_view start) {
    for (const Magic& magic : kMagics)
        if (start.size() >= magic.offset && start.substr(magic.offset).starts_with(magic.bytes))
            return magic.filesystem;
    return nullptr;
}

Outcome<const char*> detect_filesystem_of(const std::string& device) {
    Fd fd(open(device.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return fail_errno("open ", device);
    // The common ones show themselves in the first block: most disks cost one small read.
    std::string start(4096, '\0');
    for (std::size_t size : {start.size(), kProbeSize}) {
        start.resize(size);
        ssize_t n = pread(fd.get(), start.data(), size, 0);
        if (n < 0) return fail_errno("read ", device);
        const char* name = detect_filesystem(std::string_view(start).substr(0, static_cast<std::size_t>(n)));
        if (name != nullptr) return name;
    }
    return nullptr;
}

}  // namespace vmette::guest
