#include "rootfs/worker/archive_list.h"

#include <archive.h>
#include <archive_entry.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/units.h"
#include "rootfs/report.h"
#include "rootfs/worker/byte_source.h"
#include "rootfs/worker/tree.h"

namespace vmette::rootfs {
namespace {

/// `docker save` makes four files for each of at most 512 layers and a few more.
constexpr std::size_t kMaxMembers = 8192;
constexpr std::size_t kMaxMemberName = 400;

struct CloseArchive {
    void operator()(archive* reader) const { ::archive_read_free(reader); }
};

std::string link_of(archive_entry* entry, const std::string& name) {
    if (const char* target = ::archive_entry_hardlink(entry)) return target;
    const char* target = ::archive_entry_filetype(entry) == AE_IFLNK ? ::archive_entry_symlink(entry) : nullptr;
    if (target == nullptr) return "";
    return (std::filesystem::path(name).parent_path() / target).lexically_normal().string();
}

}  // namespace

Result<> list_archive(int archive_fd, int list) {
    std::unique_ptr<archive, CloseArchive> reader(::archive_read_new());
    if (!reader) return fail(ErrorCode::io, "cannot be read: out of memory");
    ::archive_read_support_format_tar(reader.get());
    auto damaged = [&] { return fail(ErrorCode::bad_image, "is not a tar archive, or is damaged or cut short"); };
    if (::archive_read_open_fd(reader.get(), archive_fd, 64 * kKiB) != ARCHIVE_OK) return damaged();
    for (std::size_t count = 0;; ++count) {
        archive_entry* entry = nullptr;
        int result = ::archive_read_next_header(reader.get(), &entry);
        if (result == ARCHIVE_EOF) return {};
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return damaged();
        if (count == kMaxMembers) return fail(ErrorCode::bad_image, "holds more than {} files", kMaxMembers);
        const char* text = ::archive_entry_pathname(entry);
        std::string name = text != nullptr ? text : "";
        std::string link = link_of(entry, name);
        if (link.empty() && ::archive_entry_filetype(entry) != AE_IFREG) continue;
        // Its bytes are not as they lie in the archive.
        if (::archive_entry_sparse_count(entry) > 0) continue;
        if (name.size() > kMaxMemberName || link.size() > kMaxMemberName)
            return fail(ErrorCode::bad_image, "holds the entry {}, whose name is longer than {} bytes", show_name(name),
                        kMaxMemberName);
        Fields fields{{"name", name}, {"link", link}};
        fields["offset"] = std::to_string(::archive_filter_bytes(reader.get(), 0));
        fields["size"] = std::to_string(link.empty() ? ::archive_entry_size(entry) : 0);
        VMETTE_CHECK_OK(write_all(list, encode_fields(fields) + "\n"));
    }
}

Result<> decompress_archive(int archive_fd, int output, std::uint64_t limit) {
    VMETTE_TRY(auto source, decompressed(std::make_unique<FdSource>(archive_fd)));
    for (std::uint64_t done = 0;;) {
        VMETTE_TRY(auto piece, source->next());
        if (piece.empty()) return {};
        done += piece.size();
        if (done > limit) return fail(ErrorCode::bad_image, "unpacks to more than {}", human_size(limit));
        VMETTE_CHECK_OK(write_all(output, piece));
    }
}

}  // namespace vmette::rootfs
