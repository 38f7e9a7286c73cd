#pragma once
/// The providers that come with vmette.

#include <memory>

#include "rootfs/provider.h"

namespace vmette::rootfs {

/// A folder of the host, given to the guest read-only as it is.
std::unique_ptr<Provider> make_dir_provider();
/// A ready squashfs image, copied into the cache.
std::unique_ptr<Provider> make_squashfs_provider();
/// A tar archive, made into an image.
std::unique_ptr<Provider> make_tar_provider();
/// Images from registries: takes every other source.
std::unique_ptr<Provider> make_oci_provider();

}  // namespace vmette::rootfs
