#pragma once
/// Letting go of a large file without a name.

#include "base/error.h"
#include "base/fd.h"

namespace vmette::vm {

/// Closes the last descriptor of an unlinked file. Freeing what it holds is done in the last close, and takes up to
/// seconds for gigabytes; a file of some size is therefore closed by a process of its own that does nothing else and
/// belongs to nobody, so that neither the caller nor its exit waits. An empty Fd is no error.
Result<> discard(Fd fd);

}  // namespace vmette::vm
