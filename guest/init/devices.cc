#include "devices.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

namespace vmette::guest {

Outcome<std::string> find_disk(std::string_view serial) {
    // Names in the order in which the kernel hands them out: cheaper than reading the folder, which is boot time.
    for (char letter = 'a'; letter <= 'z'; ++letter) {
        std::string name{'v', 'd', letter};
        std::string label = read_file(text("/sys/block/", name, "/serial").c_str(), 64);
        if (label.empty()) continue;
        if (std::string_view rest = label; take_field(rest, '\n') == serial) return text("/dev/", name);
    }
    return fail("no disk with serial \"", serial, "\"");
}

Outcome<std::uint64_t> disk_size(const std::string& device) {
    Fd fd(open(device.c_str(), O_RDONLY | O_CLOEXEC));
    std::uint64_t bytes = 0;
    if (!fd || ioctl(fd.get(), BLKGETSIZE64, &bytes) != 0) return fail_errno("size of ", device);
    return bytes;
}

Outcome<> forget_contents(const std::string& device) {
    Fd fd(open(device.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ioctl(fd.get(), BLKFLSBUF, 0) != 0) return fail_errno("forget the contents of ", device);
    return {};
}

}  // namespace vmette::guest
