#pragma once
/// Whether a file is still the one that an image was made from, without reading it.

#include <sys/stat.h>

#include <string>

namespace vmette::rootfs {

/// "file:…", made of device, inode, size and times: another one for a file that was replaced or written to.
std::string file_validator(const struct stat& info);

/// True when a later write would be sure to change the validator: a clock's tick has passed since the last one.
bool is_settled(const struct stat& info);

}  // namespace vmette::rootfs
