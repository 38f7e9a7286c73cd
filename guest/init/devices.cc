#include "devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

namespace vmette::guest {

Outcome<std::string> find_disk(std::string_view serial) {
    DIR* disks = opendir("/sys/block");
    if (disks == nullptr) return fail_errno("open /sys/block");
    std::string found;
    while (dirent* entry = readdir(disks)) {
        std::string_view name = entry->d_name;
        if (!name.starts_with("vd")) continue;
        std::string label = read_file(text("/sys/block/", name, "/serial").c_str(), 64);
        if (std::string_view rest = label; take_field(rest, '\n') != serial) continue;
        found = text("/dev/", name);
        break;
    }
    closedir(disks);
    if (found.empty()) return fail("no disk with serial \"", serial, "\"");
    return found;
}

Outcome<std::uint64_t> disk_size(const std::string& device) {
    Fd fd(open(device.c_str(), O_RDONLY | O_CLOEXEC));
    std::uint64_t bytes = 0;
    if (!fd || ioctl(fd.get(), BLKGETSIZE64, &bytes) != 0) return fail_errno("size of ", device);
    return bytes;
}

}  // namespace vmette::guest
