#pragma once
/// A tree and its files' contents as a squashfs image. Adapter around libsquashfs.

#include <sqfs/compressor.h>
#include <sqfs/super.h>

#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <vector>

#include "base/error.h"
#include "rootfs/oci/settings.h"
#include "rootfs/worker/output_file.h"
#include "rootfs/worker/owner_table.h"
#include "rootfs/worker/tar_reader.h"
#include "rootfs/worker/tree.h"

namespace vmette::rootfs {

struct SquashfsDestroy {
    void operator()(void* object) const { ::sqfs_destroy(object); }
};
/// An object of libsquashfs.
template <typename T>
using SquashfsObject = std::unique_ptr<T, SquashfsDestroy>;

/// Writes file contents as they come, compressed on worker threads, and the tree at the end. The same calls give the
/// same bytes, whatever the number of threads. Move-only through its pointer; one thread.
class SquashfsWriter final : public ContentSink {
public:
    /// `file` is empty, and outlives the writer.
    static Result<std::unique_ptr<SquashfsWriter>> create(OutputFile& file, unsigned threads,
                                                          oci::Compression compression);
    ~SquashfsWriter() override;

    Result<> begin_file(Inode& file) override;
    Result<> append(std::span<const std::byte> data) override;
    Result<> end_file() override;
    Result<std::uint32_t> add_xattrs(const std::vector<Xattr>& xattrs) override;
    /// Writes all that is not file contents, and the superblock last: until then the file is no squashfs image.
    Result<> finish(Tree& tree);

private:
    explicit SquashfsWriter(OutputFile& file) : file_(file) {}
    Result<> start(unsigned threads, oci::Compression compression);
    Result<> start_compressor(oci::Compression compression);
    Result<> check(int result);
    Result<> check_made(const void* object);
    Result<> write_folder(Folder& folder);
    Result<> pack_files();
    const std::byte* pack(const sqfs_inode_generic_t& raw);
    Result<> write_inode(Inode& inode, sqfs_inode_generic_t& raw);
    Result<> write_leaf(Inode& inode);
    Result<> write_tables(Tree& tree);

    OutputFile& file_;
    sqfs_super_t super_{};
    // Destroyed from the last to the first: each uses those above it.
    SquashfsObject<sqfs_compressor_t> compressor_;
    SquashfsObject<sqfs_block_writer_t> blocks_;
    SquashfsObject<sqfs_frag_table_t> fragments_;
    SquashfsObject<sqfs_xattr_writer_t> xattrs_;
    SquashfsObject<sqfs_meta_writer_t> inodes_;
    SquashfsObject<sqfs_meta_writer_t> listings_;
    SquashfsObject<sqfs_dir_writer_t> folders_;
    struct Begun {
        sqfs_inode_generic_t* raw = nullptr;
        Inode* file = nullptr;
    };
    /// Files whose contents may still be on their way. The processor writes through the addresses of `raw` until it is
    /// told to come to rest, also for files that have left the tree meanwhile.
    std::vector<Begun> begun_;
    /// The block lists of all others, without what libsquashfs needs to let them grow.
    std::pmr::monotonic_buffer_resource packed_;
    SquashfsObject<sqfs_block_processor_t> processor_;
    OwnerTable owners_;
};

}  // namespace vmette::rootfs
