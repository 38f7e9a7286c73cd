#pragma once
/// Which filesystem a disk holds, by its magic numbers.

#include <string_view>

#include "support.h"

namespace vmette::guest {

/// So many bytes from the start of a disk tell every filesystem known here apart.
constexpr std::size_t kProbeSize = 65536 + 4096;

/// The kernel's name of the filesystem that starts with these bytes; null when none is known. `start` may be short.
const char* detect_filesystem(std::string_view start);

/// The same of a block device.
Outcome<const char*> detect_filesystem_of(const std::string& device);

}  // namespace vmette::guest
