#pragma once
/// A tar stream as a tree. The stream is hostile: nothing is made outside of the folder that was named, nothing that is
/// there is written through a link, and what it costs is bounded.

#include <sys/types.h>

#include "listener.h"

namespace vmette::copying {

struct UnpackRules {
    /// The folder below which everything is made; borrowed.
    int root = -1;
    /// When not empty, the stream is one tree, as pack() writes it, and this takes the place of its first component.
    std::string rename;
    std::uint32_t mode_mask = 0777;  ///< permission bits that are kept
    /// Folders on the way may be symlinks, as long as they stay below the root.
    bool follow_links = false;
    /// Symlinks that lead out of the tree they are in are refused: an absolute target, more `..` than levels, `..`
    /// behind a name.
    bool refuse_outside_links = true;
    bool set_owner = false;
    uid_t uid = 0;
    gid_t gid = 0;
    std::uint64_t max_bytes = ~std::uint64_t{0};  ///< of all files together
    std::uint64_t max_entries = 4'000'000;
};

/// Reads the archive from `in` to its end (what follows the archive is read and dropped). A file that is there is
/// replaced, a folder is kept with its mode; a thing of another kind is in the way, and said.
Outcome unpack(int in, const UnpackRules& rules, Listener& listener);

/// How `cp SOURCE DESTINATION` reads its destination: into the folder, when it is one; else as that name, in the folder
/// above. Opens that folder and fills root and rename; false, with errno. `name` is that of the source, or empty for a
/// stream of any names: then the destination must be a folder.
bool open_destination(const std::string& destination, const std::string& name, UnpackRules& rules);

}  // namespace vmette::copying
