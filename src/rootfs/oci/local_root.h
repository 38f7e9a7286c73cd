#pragma once
/// Root filesystems from images that are on this machine already, in no registry.

#include <string>

#include "base/error.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

/// Resolves a source that is_local_source(). Documents of files are small and are read each time, a daemon is asked for
/// the image's ID each time; layers are read only when no image was made of them yet.
Result<Resolved> resolve_local(const std::string& source, const Context& context);

}  // namespace vmette::rootfs::oci
