#include "rootfs/worker/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>

#include "base/digest.h"
#include "base/units.h"

namespace vmette::rootfs {
namespace {

constexpr std::size_t kTarBlock = 512;
/// Linux' XATTR_SIZE_MAX and XATTR_NAME_MAX.
constexpr std::size_t kMaxXattrValue = 64 * kKiB;
constexpr std::size_t kMaxXattrName = 255;
/// The image writer holds all distinct sets of attributes in memory, so they are bounded together.
constexpr std::size_t kMaxXattrBytes = 8 * kMiB;

struct CloseArchive {
    void operator()(archive* reader) const { ::archive_read_free(reader); }
};

/// The 32-bit form in which Linux stores a device number on disk (new_encode_dev).
std::uint32_t encode_device(std::uint32_t major, std::uint32_t minor) {
    return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

class TarReader {
public:
    TarReader(std::unique_ptr<ByteSource> source, const TarLimits& limits, TarTotals& totals, Tree& tree,
              ContentSink& sink, const OnUnpacked& progress)
        : source_(std::move(source)), limits_(limits), totals_(totals), tree_(tree), sink_(sink), progress_(progress) {}

    Result<> run();

private:
    static la_ssize_t feed(archive*, void* self, const void** data);
    Result<> open();
    Result<> take(archive_entry* entry);
    Result<> take_contents(archive_entry* entry, Inode& inode);
    Result<> append_zeros(std::uint64_t count);
    Result<> count_contents(std::uint64_t bytes);
    Result<Inode> attributes(archive_entry* entry);
    Result<> add_device(archive_entry* entry, Inode& inode);
    Result<std::uint32_t> xattrs(archive_entry* entry);
    Result<> check_end();
    Failure explain();

    std::unique_ptr<ByteSource> source_;
    const TarLimits& limits_;
    TarTotals& totals_;
    Tree& tree_;
    ContentSink& sink_;
    const OnUnpacked& progress_;
    std::unique_ptr<archive, CloseArchive> reader_;
    std::optional<Error> source_error_;
    bool source_ended_ = false;
    std::string name_;   ///< of the entry at hand
    bool empty_ = true;  ///< no entry so far
};

la_ssize_t TarReader::feed(archive* reader, void* self, const void** data) {
    auto& me = *static_cast<TarReader*>(self);
    auto piece = me.source_->next();
    if (piece && (me.totals_.streamed += piece->size()) > me.limits_.max_unpacked)
        piece = fail(ErrorCode::bad_image, "unpacks to more than {}", human_size(me.limits_.max_unpacked));
    if (!piece) {
        me.source_error_ = piece.error();
        ::archive_set_error(reader, EIO, "the input failed");
        return -1;
    }
    me.source_ended_ = piece->empty();
    *data = piece->data();
    return static_cast<la_ssize_t>(piece->size());
}

/// The error behind a failed call of libarchive.
Failure TarReader::explain() {
    if (source_error_) return Failure(*source_error_);
    const char* text = ::archive_error_string(reader_.get());
    if (empty_) return fail(ErrorCode::bad_image, "is not a tar archive (plain, or compressed with gzip, zstd or xz)");
    if (source_ended_) return fail(ErrorCode::bad_image, "is cut short in or after the entry {}", show_name(name_));
    return fail(ErrorCode::bad_image, "is damaged after the entry {} ({})", show_name(name_),
                text != nullptr ? text : "no reason given");
}

Result<> TarReader::open() {
    reader_.reset(::archive_read_new());
    if (!reader_) return fail(ErrorCode::io, "cannot be read: out of memory");
    ::archive_read_support_format_tar(reader_.get());
    if (::archive_read_open2(reader_.get(), this, nullptr, feed, nullptr, nullptr) != ARCHIVE_OK) return explain();
    return {};
}

Result<> TarReader::count_contents(std::uint64_t bytes) {
    totals_.unpacked += bytes;
    if (totals_.unpacked > limits_.max_unpacked)
        return fail(ErrorCode::bad_image, "unpacks to more than {}", human_size(limits_.max_unpacked));
    progress_(totals_.unpacked);
    return {};
}

Result<> TarReader::append_zeros(std::uint64_t count) {
    static constexpr std::array<std::byte, 64 * kKiB> kZeros{};
    while (count > 0) {
        std::size_t now = std::min<std::uint64_t>(count, kZeros.size());
        VMETTE_CHECK_OK(count_contents(now));
        VMETTE_CHECK_OK(sink_.append(std::span(kZeros).first(now)));
        count -= now;
    }
    return {};
}

Result<> TarReader::take_contents(archive_entry* entry, Inode& inode) {
    auto size = static_cast<std::uint64_t>(std::max<la_int64_t>(::archive_entry_size(entry), 0));
    VMETTE_CHECK_OK(sink_.begin_file(inode));
    std::uint64_t done = 0;
    while (true) {
        const void* data = nullptr;
        std::size_t length = 0;
        la_int64_t offset = 0;
        int result = ::archive_read_data_block(reader_.get(), &data, &length, &offset);
        if (result == ARCHIVE_EOF) break;
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return explain();
        auto start = static_cast<std::uint64_t>(offset);
        if (offset < 0 || start < done || start > size || length > size - start)
            return fail(ErrorCode::bad_image, "holds the entry {}, whose map of holes is not valid", show_name(name_));
        VMETTE_CHECK_OK(append_zeros(start - done));
        VMETTE_CHECK_OK(count_contents(length));
        VMETTE_CHECK_OK(sink_.append({static_cast<const std::byte*>(data), length}));
        done = start + length;
    }
    VMETTE_CHECK_OK(append_zeros(size - done));
    return sink_.end_file();
}

Result<std::uint32_t> TarReader::xattrs(archive_entry* entry) {
    std::vector<Xattr> found;
    ::archive_entry_xattr_reset(entry);
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        std::string_view key = name != nullptr ? name : "";
        // Squashfs has no others: POSIX ACLs ("system.") and what other systems write are left out.
        if (!key.starts_with("user.") && !key.starts_with("trusted.") && !key.starts_with("security.")) continue;
        totals_.xattrs += key.size() + size;
        if (size > kMaxXattrValue || key.size() > kMaxXattrName || totals_.xattrs > kMaxXattrBytes)
            return fail(ErrorCode::bad_image, "holds the entry {}, whose extended attributes are too large",
                        show_name(name_));
        found.emplace_back(key, std::string(static_cast<const char*>(value), size));
    }
    if (found.empty()) return kNoXattrs;
    std::sort(found.begin(), found.end());
    auto same_key = [](const Xattr& a, const Xattr& b) { return a.first == b.first; };
    found.erase(std::unique(found.begin(), found.end(), same_key), found.end());
    return sink_.add_xattrs(found);
}

Result<> TarReader::add_device(archive_entry* entry, Inode& inode) {
    std::uint64_t major = ::archive_entry_rdevmajor(entry), minor = ::archive_entry_rdevminor(entry);
    // The bounds of Linux' 12 + 20 bits.
    if (major > 0xfff || minor > 0xfffff)
        return fail(ErrorCode::bad_image, "holds the device {}, whose numbers {}:{} are out of range", show_name(name_),
                    major, minor);
    inode.device = encode_device(static_cast<std::uint32_t>(major), static_cast<std::uint32_t>(minor));
    return {};
}

Result<Inode> TarReader::attributes(archive_entry* entry) {
    Inode inode;
    mode_t type = ::archive_entry_filetype(entry);
    inode.mode = type | (::archive_entry_perm(entry) & 07777);
    constexpr la_int64_t kMax = std::numeric_limits<std::uint32_t>::max();
    la_int64_t uid = ::archive_entry_uid(entry), gid = ::archive_entry_gid(entry);
    // The last number means "no id" to Linux.
    if (uid < 0 || uid >= kMax || gid < 0 || gid >= kMax)
        return fail(ErrorCode::bad_image, "holds the entry {}, whose owner {}:{} is out of range", show_name(name_),
                    uid, gid);
    inode.uid = static_cast<std::uint32_t>(uid);
    inode.gid = static_cast<std::uint32_t>(gid);
    inode.mtime = static_cast<std::uint32_t>(std::clamp<la_int64_t>(::archive_entry_mtime(entry), 0, kMax));
    if (type == AE_IFCHR || type == AE_IFBLK) VMETTE_CHECK_OK(add_device(entry, inode));
    if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK && type != AE_IFCHR && type != AE_IFBLK &&
        type != AE_IFIFO && type != AE_IFSOCK)
        return fail(ErrorCode::bad_image, "holds the entry {} of an unknown type", show_name(name_));
    return inode;
}

Result<> TarReader::take(archive_entry* entry) {
    const char* name = ::archive_entry_pathname(entry);
    if (name == nullptr || *name == 0) return fail(ErrorCode::bad_image, "holds an entry without a name");
    name_ = name;
    VMETTE_TRY(bool marker, tree_.take_marker(name_));
    if (marker) return {};
    if (const char* target = ::archive_entry_hardlink(entry)) return tree_.link(name_, target);
    VMETTE_TRY(Inode like, attributes(entry));
    const char* target = like.is_link() ? ::archive_entry_symlink(entry) : nullptr;
    VMETTE_TRY(like.xattrs, xattrs(entry));
    VMETTE_TRY(Inode * inode, tree_.put(name_, like, target != nullptr ? target : ""));
    return S_ISREG(like.mode) ? take_contents(entry, *inode) : Result<>{};
}

/// libarchive takes the end of its input between two entries for the end of the archive. A whole archive ends with at
/// least one block of zeros, which libarchive has then consumed beyond the place where it looked for a header.
Result<> TarReader::check_end() {
    if (tree_.rules() == TreeRules::archive) {
        la_int64_t looked_at = ::archive_read_header_position(reader_.get());
        if (::archive_filter_bytes(reader_.get(), 0) < looked_at + static_cast<la_int64_t>(kTarBlock))
            return fail(ErrorCode::bad_image, "is cut short: its end marker is missing after the entry {}",
                        show_name(name_));
        if (empty_) return fail(ErrorCode::bad_image, "is an archive without a single entry");
    }
    // What follows the marker is not looked at, but the stream around it must be sound to its end.
    while (!source_ended_) {
        const void* ignored = nullptr;
        if (feed(reader_.get(), this, &ignored) < 0) return explain();
    }
    return {};
}

Result<> TarReader::run() {
    VMETTE_CHECK_OK(open());
    while (true) {
        archive_entry* entry = nullptr;
        int result = ::archive_read_next_header(reader_.get(), &entry);
        if (result == ARCHIVE_EOF) break;
        // A warning is about a detail that could not be understood (an odd pax key); the entry itself is whole.
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return explain();
        ++totals_.entries;
        empty_ = false;
        VMETTE_CHECK_OK(take(entry));
    }
    return check_end();
}

/// Hashes what passes through.
class HashingSource final : public ByteSource {
public:
    HashingSource(std::unique_ptr<ByteSource> inner, Sha256& hash) : inner_(std::move(inner)), hash_(hash) {}
    Result<std::span<const std::byte>> next() override {
        VMETTE_TRY(auto piece, inner_->next());
        hash_.update(piece);
        return piece;
    }

private:
    std::unique_ptr<ByteSource> inner_;
    Sha256& hash_;
};

}  // namespace

Result<> read_tar(std::unique_ptr<ByteSource> archive, const TarLimits& limits, TarTotals& totals, Tree& tree,
                  ContentSink& sink, const OnUnpacked& progress) {
    return TarReader(std::move(archive), limits, totals, tree, sink, progress).run();
}

Result<std::string> read_layer(std::unique_ptr<ByteSource> blob, const TarLimits& limits, TarTotals& totals, Tree& tree,
                               ContentSink& sink, const OnUnpacked& progress) {
    tree.begin_layer();
    VMETTE_TRY(auto archive, decompressed(std::move(blob)));
    Sha256 hash;
    VMETTE_CHECK_OK(
        read_tar(std::make_unique<HashingSource>(std::move(archive), hash), limits, totals, tree, sink, progress));
    return hash.hex();
}

}  // namespace vmette::rootfs
