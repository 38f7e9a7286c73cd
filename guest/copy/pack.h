#pragma once
/// A tree as a tar stream.

#include "listener.h"

namespace vmette::copying {

/// Writes the file or folder `path` (a symlink at its end is followed; below it none is) with everything below it to
/// `out`, under the last component of its name, and the archive's end. Devices, sockets and FIFOs are left out and
/// said. Folders deeper than 256 levels are too. The stream ends with its marks even after a problem, but not when
/// `out` can no longer be written.
Outcome pack(const std::string& path, int out, Listener& listener);

}  // namespace vmette::copying
