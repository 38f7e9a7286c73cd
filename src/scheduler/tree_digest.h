#pragma once
/// What a file or a folder of the host holds, as one digest.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace vmette::scheduler {

/// Entries below one folder; a folder with more has no digest.
constexpr std::uint64_t kMaxTreeEntries = 1'000'000;
/// A listing longer than this, in bytes, is not kept: some ten thousand files.
constexpr std::size_t kMaxTreeListing = std::size_t{1} << 20;

/// Polled every few hundred KiB; true ends the work with `cancelled`. May be empty.
using Cancelled = std::function<bool()>;

struct TreeDigest {
    /// "sha256:…" of all entries in the order of their paths' bytes. Of each: its path below the folder, type,
    /// permissions, owner, extended attributes, and the content's SHA-256 of a file, the target of a link, the number
    /// of a device. Times are not in it. A folder's size in bytes is not either.
    std::string digest;
    /// What tells two trees' files apart (changed_files()); null when it would be too long.
    std::shared_ptr<const std::string> listing;
};

/// Reads all of it. No link is followed but `path` itself; a FIFO, a socket or a device is not opened. Other file
/// systems mounted below are gone through, as a guest would see them. Errors: not_found, io (unreadable, or not a file
/// or folder), unsupported (too many entries), cancelled.
Result<TreeDigest> digest_tree(const std::filesystem::path& path, const Cancelled& cancelled = {});

/// The same without any content: it changes whenever the digest may have, and sometimes when it has not.
struct TreeStamp {
    std::string stamp;
    WallTime newest_change{};  ///< of any entry's status, by the file system's clock
};
Result<TreeStamp> stamp_tree(const std::filesystem::path& path, const Cancelled& cancelled = {});

/// How two listings differ: "changed a.c", "new b.c", "gone c.c", in the order of the paths. At most `limit`, and how
/// many there are in all. Damaged listings give no more than what can be read of them.
struct FileChanges {
    std::vector<std::string> first;
    std::uint64_t count = 0;
    bool operator==(const FileChanges&) const = default;
};
FileChanges changed_files(std::string_view before, std::string_view after, std::size_t limit);

}  // namespace vmette::scheduler
