#pragma once
/// Block devices by the serial that the host gave them: the order in which the kernel finds them means nothing.

#include <string>
#include <string_view>

#include "support.h"

namespace vmette::guest {

/// "/dev/vdb": the virtio-blk device with this serial.
Outcome<std::string> find_disk(std::string_view serial);

/// Drops what the kernel remembers of a disk's contents (it looked for partitions when the disk appeared).
Outcome<> forget_contents(const std::string& device);
Outcome<std::uint64_t> disk_size(const std::string& device);

}  // namespace vmette::guest
