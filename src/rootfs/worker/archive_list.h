#pragma once
/// Where the members of a tar archive are, for a parent that does not look at tar headers.

#include <cstdint>

#include "base/error.h"

namespace vmette::rootfs {

/// Writes to `list` a line for each regular file and link in the plain tar archive `archive` (both borrowed): fields
/// "name", "offset", "size", and "link": what a link leads to, from the archive's root. Errors: `bad_image`, a
/// predicate.
Result<> list_archive(int archive, int list);

/// Copies `archive`, decompressed, to `output`: at most `limit` bytes.
Result<> decompress_archive(int archive, int output, std::uint64_t limit);

}  // namespace vmette::rootfs
