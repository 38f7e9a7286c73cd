#pragma once
/// Enough of squashfs' superblock to tell an image from something else, and a whole one from a part.

#include <string>

#include "base/error.h"

namespace vmette::rootfs {

/// Looks at the superblock of an open file, by pread. `bad_image` when it is none, is cut short, contradicts itself, or
/// is compressed in a way that Linux does not read; the messages start with `name`.
/// Source of the format: the kernel's fs/squashfs/squashfs_fs.h.
Result<> check_superblock(int fd, const std::string& name);

}  // namespace vmette::rootfs
