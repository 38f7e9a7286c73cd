#pragma once
/// Scratch disks: the writable disk under a run's overlay. Made per run, never kept.

#include <cstdint>

#include "base/error.h"
#include "base/fd.h"
#include "base/layout.h"

namespace vmette::vm {

/// Smaller ones hold no ext4 worth the name; larger ones are beyond what ext4 with 4 KiB blocks and 32-bit block
/// numbers addresses.
constexpr std::uint64_t kMinScratchBytes = std::uint64_t{4} << 20;
constexpr std::uint64_t kMaxScratchBytes = (std::uint64_t{16} << 40) - 4096;

/// A formatted, empty ext4 disk of exactly `bytes`, sparse, opened for reading and writing, without a name from the
/// start, so that nothing can leak it: the last close frees it. Copied from a template of that size in
/// layout.scratch_templates_dir(), which the first caller makes. Any number of processes may call this at once.
///
/// Errors: bad_input (a size out of the bounds above, or not a multiple of 4096), not_found (mkfs.ext4 is missing; the
/// message names the package), no_space, io.
Result<Fd> make_scratch(const Layout& layout, std::uint64_t bytes);

}  // namespace vmette::vm
