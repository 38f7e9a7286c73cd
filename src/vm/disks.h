#pragma once
/// The user's own disks: what a `[[disks]]` path may be, checked before QEMU sees it.

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::vm {

enum class DiskFormat { raw, qcow2 };
/// QEMU's name of the format.
std::string_view to_string(DiskFormat format);

/// A disk, opened and locked; the lock goes with the last copy of the descriptor.
struct OpenDisk {
    Fd fd;
    DiskFormat format = DiskFormat::raw;
    std::uint64_t bytes = 0;  ///< size that the guest sees
};

/// Opens a regular file or block device: qcow2 by its magic number, else raw. Takes flock(2) on it, shared when
/// `read_only`, else exclusive, so that no two runs write it at once.
///
/// A qcow2 image that names another file (backing file, external data file) is refused: its author would choose which
/// files of the host the guest reads. Errors: not_found; bad_input (not a disk, empty, odd size, hostile or broken
/// header); busy (held by another run); io.
Result<OpenDisk> open_disk(const std::filesystem::path& path, bool read_only);

}  // namespace vmette::vm
