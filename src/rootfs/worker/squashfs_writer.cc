#include "rootfs/worker/squashfs_writer.h"

#include <sqfs/block.h>
#include <sqfs/block_processor.h>
#include <sqfs/block_writer.h>
#include <sqfs/dir_writer.h>
#include <sqfs/error.h>
#include <sqfs/frag_table.h>
#include <sqfs/inode.h>
#include <sqfs/meta_writer.h>
#include <sqfs/xattr_writer.h>

#include <cstdlib>
#include <cstring>

namespace vmette::rootfs {
namespace {

/// The cheapest to make of what unsquashfs reads too (figures: docs/images.md).
constexpr std::uint32_t kZstdLevel = 1;
constexpr std::uint32_t kGzipLevel = 6;
/// Blocks in flight for each thread; libsquashfs' own tools take 10. A block is 128 KiB, so this bounds memory.
constexpr std::uint32_t kBacklogPerThread = 10;
/// After so many files their block lists are packed. For that the processor must come to rest, which costs a moment.
constexpr std::size_t kPackAfter = 4096;

struct FreeInode {
    void operator()(sqfs_inode_generic_t* inode) const { ::sqfs_free(inode); }
};
using RawInode = std::unique_ptr<sqfs_inode_generic_t, FreeInode>;

/// The inode of what has no contents; types and layout as in sqfs/inode.h.
RawInode make_leaf(const Inode& inode) {
    std::size_t extra = inode.is_link() ? std::strlen(inode.target) : 0;
    // From malloc because libsquashfs grows inodes with realloc.
    RawInode raw(static_cast<sqfs_inode_generic_t*>(std::calloc(1, sizeof(sqfs_inode_generic_t) + extra + 1)));
    if (!raw) return raw;
    switch (inode.mode & S_IFMT) {
        case S_IFLNK:
            raw->base.type = SQFS_INODE_SLINK;
            raw->data.slink.nlink = inode.links;
            raw->data.slink.target_size = static_cast<std::uint32_t>(extra);
            std::memcpy(raw->extra, inode.target, extra);
            break;
        case S_IFCHR:
        case S_IFBLK:
            raw->base.type = S_ISCHR(inode.mode) ? SQFS_INODE_CDEV : SQFS_INODE_BDEV;
            raw->data.dev.nlink = inode.links;
            raw->data.dev.devno = inode.device;
            break;
        default:
            raw->base.type = S_ISFIFO(inode.mode) ? SQFS_INODE_FIFO : SQFS_INODE_SOCKET;
            raw->data.ipc.nlink = inode.links;
    }
    return raw;
}

/// A packed block list: which of the two forms, how many bytes of block sizes, the form, the block sizes.
struct PackedHead {
    std::uint16_t type;
    std::uint32_t payload;
} __attribute__((packed));

std::size_t form_size(std::uint16_t type) {
    return type == SQFS_INODE_FILE ? sizeof(sqfs_inode_file_t) : sizeof(sqfs_inode_file_ext_t);
}

RawInode unpack(const std::byte* packed) {
    PackedHead head;
    std::memcpy(&head, packed, sizeof head);
    // From malloc because libsquashfs grows inodes with realloc.
    RawInode raw(static_cast<sqfs_inode_generic_t*>(std::calloc(1, sizeof(sqfs_inode_generic_t) + head.payload)));
    if (!raw) return raw;
    raw->base.type = head.type;
    raw->payload_bytes_available = raw->payload_bytes_used = head.payload;
    std::memcpy(&raw->data, packed + sizeof head, form_size(head.type));
    if (head.payload > 0) std::memcpy(raw->extra, packed + sizeof head + form_size(head.type), head.payload);
    return raw;
}

}  // namespace

Result<> SquashfsWriter::check(int result) {
    if (result >= 0) return {};
    if (file_.first_errno() != 0) return Failure(errno_error(file_.first_errno(), "write the image"));
    if (result == SQFS_ERROR_ALLOC) return fail(ErrorCode::io, "cannot be converted: out of memory");
    return fail(ErrorCode::internal, "cannot be converted: libsquashfs failed with {}", result);
}

Result<> SquashfsWriter::check_made(const void* object) { return check(object != nullptr ? 0 : SQFS_ERROR_ALLOC); }

Result<std::unique_ptr<SquashfsWriter>> SquashfsWriter::create(OutputFile& file, unsigned threads,
                                                               oci::Compression compression) {
    std::unique_ptr<SquashfsWriter> writer(new SquashfsWriter(file));
    VMETTE_CHECK_OK(writer->start(threads, compression));
    return writer;
}

SquashfsWriter::~SquashfsWriter() {
    // The processor's threads may still write to the block lists.
    processor_.reset();
    for (Begun& one : begun_) ::sqfs_free(one.raw);
}

Result<> SquashfsWriter::start_compressor(oci::Compression compression) {
    SQFS_COMPRESSOR kind = SQFS_COMP_ZSTD;
    if (compression == oci::Compression::lz4) kind = SQFS_COMP_LZ4;
    if (compression == oci::Compression::gzip) kind = SQFS_COMP_GZIP;
    sqfs_compressor_config_t config;
    VMETTE_CHECK_OK(check(::sqfs_compressor_config_init(&config, kind, SQFS_DEFAULT_BLOCK_SIZE, 0)));
    if (kind == SQFS_COMP_ZSTD) config.level = kZstdLevel;
    if (kind == SQFS_COMP_GZIP) config.level = kGzipLevel;
    sqfs_compressor_t* compressor = nullptr;
    VMETTE_CHECK_OK(check(::sqfs_compressor_create(&config, &compressor)));
    compressor_.reset(compressor);
    // The time of an image is no part of what it was made from, so it is none.
    VMETTE_CHECK_OK(check(::sqfs_super_init(&super_, SQFS_DEFAULT_BLOCK_SIZE, 0, kind)));
    VMETTE_CHECK_OK(check(file_.truncate(&file_, sizeof super_)));
    int options = compressor_->write_options(compressor_.get(), &file_);
    VMETTE_CHECK_OK(check(options));
    if (options > 0) super_.flags |= SQFS_FLAG_COMPRESSOR_OPTIONS;
    return {};
}

Result<> SquashfsWriter::start(unsigned threads, oci::Compression compression) {
    // Room for all from the start: their addresses must not change.
    begun_.reserve(kPackAfter);
    VMETTE_CHECK_OK(start_compressor(compression));
    blocks_.reset(::sqfs_block_writer_create(&file_, SQFS_DEVBLK_SIZE, 0));
    fragments_.reset(::sqfs_frag_table_create(0));
    xattrs_.reset(::sqfs_xattr_writer_create(0));
    inodes_.reset(::sqfs_meta_writer_create(&file_, compressor_.get(), 0));
    listings_.reset(::sqfs_meta_writer_create(&file_, compressor_.get(), SQFS_META_WRITER_KEEP_IN_MEMORY));
    for (const void* object : {static_cast<const void*>(blocks_.get()), static_cast<const void*>(fragments_.get()),
                               static_cast<const void*>(xattrs_.get()), static_cast<const void*>(inodes_.get()),
                               static_cast<const void*>(listings_.get())})
        VMETTE_CHECK_OK(check_made(object));
    folders_.reset(::sqfs_dir_writer_create(listings_.get(), 0));
    VMETTE_CHECK_OK(check_made(folders_.get()));
    processor_.reset(::sqfs_block_processor_create(SQFS_DEFAULT_BLOCK_SIZE, compressor_.get(), threads,
                                                   std::size_t{kBacklogPerThread} * threads, blocks_.get(),
                                                   fragments_.get()));
    return check_made(processor_.get());
}

Result<> SquashfsWriter::begin_file(Inode& file) {
    if (begun_.size() == kPackAfter) VMETTE_CHECK_OK(pack_files());
    Begun& begun = begun_.emplace_back(nullptr, &file);
    return check(::sqfs_block_processor_begin_file(processor_.get(), &begun.raw, nullptr, 0));
}

const std::byte* SquashfsWriter::pack(const sqfs_inode_generic_t& raw) {
    PackedHead head{raw.base.type, raw.payload_bytes_used};
    std::size_t form = form_size(head.type);
    auto* to = static_cast<std::byte*>(packed_.allocate(sizeof head + form + head.payload, 1));
    std::memcpy(to, &head, sizeof head);
    std::memcpy(to + sizeof head, &raw.data, form);
    if (head.payload > 0) std::memcpy(to + sizeof head + form, raw.extra, head.payload);
    return to;
}

/// Between two files only.
Result<> SquashfsWriter::pack_files() {
    VMETTE_CHECK_OK(check(::sqfs_block_processor_sync(processor_.get())));
    for (Begun& one : begun_) {
        if (one.file->links > 0) one.file->data = pack(*one.raw);
        ::sqfs_free(one.raw);
    }
    begun_.clear();
    return {};
}

Result<> SquashfsWriter::append(std::span<const std::byte> data) {
    return check(::sqfs_block_processor_append(processor_.get(), data.data(), data.size()));
}

Result<> SquashfsWriter::end_file() { return check(::sqfs_block_processor_end_file(processor_.get())); }

Result<std::uint32_t> SquashfsWriter::add_xattrs(const std::vector<Xattr>& xattrs) {
    VMETTE_CHECK_OK(check(::sqfs_xattr_writer_begin(xattrs_.get(), 0)));
    for (const auto& [key, value] : xattrs)
        VMETTE_CHECK_OK(check(::sqfs_xattr_writer_add(xattrs_.get(), key.c_str(), value.data(), value.size())));
    sqfs_u32 number = kNoXattrs;
    VMETTE_CHECK_OK(check(::sqfs_xattr_writer_end(xattrs_.get(), &number)));
    return number;
}

Result<> SquashfsWriter::write_inode(Inode& inode, sqfs_inode_generic_t& raw) {
    raw.base.mode = static_cast<std::uint16_t>(inode.mode);
    raw.base.mod_time = inode.mtime;
    raw.base.inode_number = inode.number;
    VMETTE_TRY(raw.base.uid_idx, owners_.place_of(inode.uid));
    VMETTE_TRY(raw.base.gid_idx, owners_.place_of(inode.gid));
    VMETTE_CHECK_OK(check(::sqfs_inode_set_xattr_index(&raw, inode.xattrs)));
    sqfs_u64 block = 0;
    sqfs_u32 offset = 0;
    ::sqfs_meta_writer_get_position(inodes_.get(), &block, &offset);
    inode.place = block << 16 | offset;
    return check(::sqfs_meta_writer_write_inode(inodes_.get(), &raw));
}

Result<> SquashfsWriter::write_leaf(Inode& inode) {
    if (!S_ISREG(inode.mode)) {
        RawInode raw = make_leaf(inode);
        VMETTE_CHECK_OK(check_made(raw.get()));
        return write_inode(inode, *raw);
    }
    RawInode raw = unpack(inode.data);
    VMETTE_CHECK_OK(check_made(raw.get()));
    if (inode.links > 1) VMETTE_CHECK_OK(check(::sqfs_inode_make_extended(raw.get())));
    if (raw->base.type == SQFS_INODE_EXT_FILE) raw->data.file_ext.nlink = inode.links;
    return write_inode(inode, *raw);
}

/// A folder comes after all that is in it: its listing says where their inodes are.
Result<> SquashfsWriter::write_folder(Folder& folder) {
    for (auto& [name, child] : folder.children)
        if (!child->is_folder() && child->place == kUnwritten) VMETTE_CHECK_OK(write_leaf(*child));
    VMETTE_CHECK_OK(check(::sqfs_dir_writer_begin(folders_.get(), 0)));
    for (auto& [name, child] : folder.children)
        VMETTE_CHECK_OK(check(::sqfs_dir_writer_add_entry(folders_.get(), name.text, child->number, child->place,
                                                          static_cast<std::uint16_t>(child->mode))));
    VMETTE_CHECK_OK(check(::sqfs_dir_writer_end(folders_.get())));
    Inode& inode = *folder.self;
    RawInode raw(
        ::sqfs_dir_writer_create_inode(folders_.get(), inode.links, inode.xattrs, folder.parent->self->number));
    VMETTE_CHECK_OK(check_made(raw.get()));
    if (raw->base.type == SQFS_INODE_DIR) raw->data.dir.nlink = inode.links;
    if (raw->base.type == SQFS_INODE_EXT_DIR) raw->data.dir_ext.nlink = inode.links;
    return write_inode(inode, *raw);
}

namespace {

/// All folders, parents before their children, and every inode numbered from 1. Breadth first and not recursive: the
/// depth is the archive's.
std::vector<Folder*> number_inodes(Folder& root, std::uint32_t& count) {
    std::vector<Folder*> order{&root};
    root.self->number = ++count;
    for (std::size_t at = 0; at < order.size(); ++at) {
        for (auto& [name, child] : order[at]->children) {
            if (child->number == 0) child->number = ++count;
            if (child->is_folder()) order.push_back(child->folder);
        }
    }
    return order;
}

}  // namespace

Result<> SquashfsWriter::write_tables(Tree& tree) {
    std::uint32_t count = 0;
    auto order = number_inodes(tree.root(), count);
    super_.inode_count = count;
    super_.inode_table_start = file_.get_size(&file_);
    for (auto folder = order.rbegin(); folder != order.rend(); ++folder) VMETTE_CHECK_OK(write_folder(**folder));
    super_.root_inode_ref = tree.root().self->place;
    VMETTE_CHECK_OK(check(::sqfs_meta_writer_flush(inodes_.get())));
    VMETTE_CHECK_OK(check(::sqfs_meta_writer_flush(listings_.get())));
    super_.directory_table_start = file_.get_size(&file_);
    VMETTE_CHECK_OK(check(::sqfs_meta_write_write_to_file(listings_.get())));
    VMETTE_CHECK_OK(check(::sqfs_frag_table_write(fragments_.get(), &file_, &super_, compressor_.get())));
    VMETTE_CHECK_OK(check(owners_.write(file_, super_, *compressor_)));
    return check(::sqfs_xattr_writer_flush(xattrs_.get(), &file_, &super_, compressor_.get()));
}

Result<> SquashfsWriter::finish(Tree& tree) {
    VMETTE_CHECK_OK(pack_files());
    VMETTE_CHECK_OK(check(::sqfs_block_processor_finish(processor_.get())));
    // What it remembers of every fragment would stay beside the tables.
    processor_.reset();
    VMETTE_CHECK_OK(write_tables(tree));
    super_.bytes_used = file_.get_size(&file_);
    VMETTE_CHECK_OK(file_.pad_to(SQFS_DEVBLK_SIZE));
    return check(::sqfs_super_write(&super_, &file_));
}

}  // namespace vmette::rootfs
