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
    std::uint64_t max_unpacked;  ///< bytes of all decompressed archives, and of all file contents with their holes
};

/// Of all archives that make up one image: what the limits are about.
struct TarTotals {
    std::uint64_t entries = 0;
    std::uint64_t streamed = 0;  ///< bytes of the decompressed archives
    std::uint64_t unpacked = 0;  ///< bytes of file contents
    std::uint64_t xattrs = 0;    ///< bytes of extended attributes
};

/// Hears the bytes of contents so far, often.
using OnUnpacked = std::function<void(std::uint64_t)>;

/// Reads `archive` to its very end, and adds to `totals`. An archive ends with its marker and holds something; a layer
/// (tree.rules()) need not: that it is whole is told by its digest. Errors: `bad_image` with a predicate for a message
/// ("holds the entry …", "is cut short: …"), or the sink's own.
Result<> read_tar(std::unique_ptr<ByteSource> archive, const TarLimits& limits, TarTotals& totals, Tree& tree,
                  ContentSink& sink, const OnUnpacked& progress);

/// The same of the next layer of an image, compressed or not, over those that the tree holds. Returns the SHA-256 of
/// the decompressed layer, 64 digits.
Result<std::string> read_layer(std::unique_ptr<ByteSource> blob, const TarLimits& limits, TarTotals& totals, Tree& tree,
                               ContentSink& sink, const OnUnpacked& progress);

}  // namespace vmette::rootfs
