#pragma once
/// Where the members of a tar archive are, for a parent that does not look at tar headers.

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "rootfs/worker/byte_source.h"
#include "rootfs/worker/tar_reader.h"

namespace vmette::rootfs {

/// Writes to `list` a line for each regular file and link in the plain tar archive `archive` (both borrowed): fields
/// "name", "offset", "size", "link" (what a link leads to, from the archive's root; empty: it is none) and "sparse"
/// ("1": its bytes are not as they lie in the archive, and "offset" says nothing). Errors: `bad_image`, a predicate.
Result<> list_archive(int archive, int list);

/// Copies the contents of the regular files in `archive` to `output`, one behind the other, holes as holes, and writes
/// the same list, with offsets in `output` (both borrowed). At most `limit` bytes are unpacked and written.
Result<> copy_archive(std::unique_ptr<ByteSource> archive, int output, int list, std::uint64_t limit,
                      const OnUnpacked& progress);

}  // namespace vmette::rootfs
