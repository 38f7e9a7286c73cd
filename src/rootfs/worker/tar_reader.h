#pragma once
/// One pass over a tar archive: its entries become a tree, its files' contents go to a sink. Adapter around libarchive.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "rootfs/worker/byte_source.h"
#include "rootfs/worker/tree.h"

namespace vmette::rootfs {

/// Name and value of an extended attribute.
using Xattr = std::pair<std::string, std::string>;

/// Takes file contents as they stream by. The image writer; in fuzzing, nothing.
class ContentSink {
public:
    virtual ~ContentSink() = default;
    /// Starts the contents of a regular file; calls come as begin, append…, end. `file` lives as long as the tree.
    virtual Result<> begin_file(Inode& file) = 0;
    virtual Result<> append(std::span<const std::byte> data) = 0;
    virtual Result<> end_file() = 0;
    /// Records a set of attributes and returns its number, for Inode::xattrs.
    virtual Result<std::uint32_t> add_xattrs(const std::vector<Xattr>& xattrs) = 0;
};

struct TarLimits {
    std::uint64_t max_unpacked;  ///< bytes of the decompressed archive, and of all file contents with their holes
};

struct TarSummary {
    std::uint64_t entries = 0;
    std::uint64_t unpacked = 0;  ///< bytes of file contents
};

/// Reads `archive` to its very end. `progress` hears the bytes of contents so far, often. Errors: `bad_image` with a
/// predicate for a message ("holds the entry …", "is cut short: …"), or the sink's own.
Result<TarSummary> read_tar(std::unique_ptr<ByteSource> archive, const TarLimits& limits, Tree& tree, ContentSink& sink,
                            const std::function<void(std::uint64_t)>& progress);

}  // namespace vmette::rootfs
