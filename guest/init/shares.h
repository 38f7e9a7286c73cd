#pragma once
/// Folders of the host and disks of the user, at their places in the root.

#include <string>
#include <vector>

#include "../protocol.h"
#include "support.h"
#include "tree.h"

namespace vmette::guest {

/// Something whose writes reach the host, and that has to be synced before the machine is pulled.
struct WrittenThrough {
    std::string path;  ///< in the root
    Fd folder;         ///< O_RDONLY of its top
};

/// Makes the folders while the root can still be written; those inside other mounts are made when it is their turn.
Outcome<> prepare_mount_points(const Tree& tree, const wire::Setup& setup);

Outcome<> mount_shares(const Tree& tree, const std::vector<wire::ShareMount>& shares,
                       std::vector<WrittenThrough>& written);

/// A disk without a filesystem that is known is left alone, with a warning that says where it is. Each disk is also
/// found as /dev/disk/by-id/virtio-SERIAL.
Outcome<> mount_disks(const Tree& tree, const std::vector<wire::DiskMount>& disks, std::vector<WrittenThrough>& written,
                      std::vector<std::string>& warnings);

}  // namespace vmette::guest
