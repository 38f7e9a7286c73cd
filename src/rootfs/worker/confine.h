#pragma once
/// Makes the process that reads hostile archives as harmless as its work allows.

#include <cstdint>

#include "base/error.h"

namespace vmette::rootfs {

/// For both kinds of work: no core dumps, no new privileges, few descriptors, no file beyond `max_file` bytes (writes
/// fail with EFBIG), no more than `max_memory` bytes of memory (allocations fail; 0: no bound).
Result<> limit_resources(std::uint64_t max_file, std::uint64_t max_memory);

/// From here on only the system calls are allowed that computing, threads, and reading and writing descriptors that are
/// open already take; all others fail with EPERM. No way back.
Result<> forbid_new_resources();

}  // namespace vmette::rootfs
