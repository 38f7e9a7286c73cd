#pragma once
/// A tar archive into an image, by way of the image worker.

#include "rootfs/cached_source.h"

namespace vmette::rootfs {

/// A Builder (see cached_source.h) for tar archives.
Result<Built> build_from_tar(const Input& input, const Context& context);

}  // namespace vmette::rootfs
