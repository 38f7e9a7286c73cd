#pragma once
/// Root filesystems from images that are on this machine already, in no registry.

#include <string>

#include "base/error.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

/// What resolve_local() would refuse at once: a wrong spelling, a file or folder that is not there. Errors:
/// `bad_input`, `not_found`.
Result<> check_local(const std::string& source);

/// Resolves a source that is_local_source(). A layout's documents are small and are read each time, an archive is read
/// when it is not the file that it was, a daemon is asked for the image's ID each time; layers are read only when no
/// image was made of them yet.
Result<Resolved> resolve_local(const std::string& source, const Context& context);

}  // namespace vmette::rootfs::oci
