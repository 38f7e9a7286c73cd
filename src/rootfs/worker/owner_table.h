#pragma once
/// The owners of an image's files: squashfs keeps each number once, and inodes name its place in that list.

#include <sqfs/compressor.h>
#include <sqfs/super.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "base/error.h"
#include "rootfs/worker/output_file.h"

namespace vmette::rootfs {

/// What the superblock's 16-bit count can say.
constexpr std::size_t kMaxOwners = 65535;

/// In place of libsquashfs' own, which searches the whole list for every inode, and takes one owner too many.
class OwnerTable {
public:
    /// The place of a user's or group's number, which is new or was here before. Errors: bad_image for too many.
    Result<std::uint16_t> place_of(std::uint32_t owner);
    /// Writes the list and notes it in the superblock. Returns libsquashfs' error, or 0.
    int write(OutputFile& file, sqfs_super_t& super, sqfs_compressor_t& compressor) const;

private:
    /// A tree, for the numbers are an archive's choice, and a hash could be made to degenerate.
    std::map<std::uint32_t, std::uint16_t> places_;
    std::vector<std::uint32_t> owners_;  ///< in the image's byte order
};

}  // namespace vmette::rootfs
