#include "rootfs/worker/archive_list.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/units.h"
#include "rootfs/report.h"
#include "rootfs/worker/tree.h"

namespace vmette::rootfs {
namespace {

/// `docker save` makes four files for each of at most 512 layers and a few more.
constexpr std::size_t kMaxMembers = 8192;
constexpr std::size_t kMaxMemberName = 400;

struct CloseArchive {
    void operator()(archive* reader) const { ::archive_read_free(reader); }
};
using Reader = std::unique_ptr<archive, CloseArchive>;

struct Listed {
    std::string name;
    std::string link;  ///< what it leads to, from the archive's root; empty: it is a regular file
    std::uint64_t size = 0;
    bool sparse = false;
};

Failure damaged() { return fail(ErrorCode::bad_image, "is not a tar archive, or is damaged or cut short"); }

Result<Reader> new_reader() {
    Reader reader(::archive_read_new());
    if (!reader) return fail(ErrorCode::io, "cannot be read: out of memory");
    ::archive_read_support_format_tar(reader.get());
    return reader;
}

std::string link_of(archive_entry* entry, const std::string& name) {
    if (const char* target = ::archive_entry_hardlink(entry)) return target;
    const char* target = ::archive_entry_filetype(entry) == AE_IFLNK ? ::archive_entry_symlink(entry) : nullptr;
    if (target == nullptr) return "";
    return (std::filesystem::path(name).parent_path() / target).lexically_normal().string();
}

/// Nothing for what is neither a regular file nor a link.
Result<std::optional<Listed>> read_entry(archive_entry* entry) {
    Listed out;
    const char* text = ::archive_entry_pathname(entry);
    out.name = text != nullptr ? text : "";
    out.link = link_of(entry, out.name);
    if (out.link.empty() && ::archive_entry_filetype(entry) != AE_IFREG) return std::nullopt;
    if (out.name.size() > kMaxMemberName || out.link.size() > kMaxMemberName)
        return fail(ErrorCode::bad_image, "holds the entry {}, whose name is longer than {} bytes", show_name(out.name),
                    kMaxMemberName);
    if (!out.link.empty()) return out;
    la_int64_t size = ::archive_entry_size(entry);
    if (size < 0) return damaged();
    out.size = static_cast<std::uint64_t>(size);
    out.sparse = ::archive_entry_sparse_count(entry) > 0;
    return out;
}

Result<> write_line(int list, const Listed& member, std::uint64_t offset) {
    Fields fields{{"name", member.name}, {"link", member.link}};
    fields["offset"] = std::to_string(offset);
    fields["size"] = std::to_string(member.size);
    fields["sparse"] = member.sparse ? "1" : "0";
    return write_all(list, encode_fields(fields) + "\n");
}

/// Shows `take` each regular file and link. `why` says what is wrong when libarchive does not go on.
Result<> each_member(archive* reader, const std::function<Failure()>& why,
                     const std::function<Result<>(const Listed&)>& take) {
    for (std::size_t count = 0;; ++count) {
        archive_entry* entry = nullptr;
        int result = ::archive_read_next_header(reader, &entry);
        if (result == ARCHIVE_EOF) return {};
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return why();
        if (count == kMaxMembers) return fail(ErrorCode::bad_image, "holds more than {} files", kMaxMembers);
        VMETTE_TRY(auto member, read_entry(entry));
        if (member) VMETTE_CHECK_OK(take(*member));
    }
}

class Copy {
public:
    Copy(std::unique_ptr<ByteSource> source, int output, int list, std::uint64_t limit, const OnUnpacked& progress)
        : source_(std::move(source)), output_(output), list_(list), limit_(limit), progress_(progress) {}

    Result<> run() {
        VMETTE_TRY(reader_, new_reader());
        if (::archive_read_open2(reader_.get(), this, nullptr, feed, nullptr, nullptr) != ARCHIVE_OK) return explain();
        VMETTE_CHECK_OK(each_member(
            reader_.get(), [this] { return explain(); }, [this](const Listed& member) { return take(member); }));
        // The stream around the archive must be sound to its end.
        const void* ignored = nullptr;
        for (la_ssize_t n = 1; n != 0;)
            if (n = feed(reader_.get(), this, &ignored); n < 0) return explain();
        return {};
    }

private:
    static la_ssize_t feed(archive* reader, void* self, const void** data) {
        auto& me = *static_cast<Copy*>(self);
        if (me.ended_) return 0;
        auto piece = me.source_->next();
        if (piece && (me.streamed_ += piece->size()) > me.limit_) piece = me.too_much();
        if (!piece) {
            me.source_error_ = piece.error();
            ::archive_set_error(reader, EIO, "the input failed");
            return -1;
        }
        me.ended_ = piece->empty();
        me.progress_(me.streamed_);
        *data = piece->data();
        return static_cast<la_ssize_t>(piece->size());
    }
    Failure explain() const { return source_error_ ? Failure(*source_error_) : damaged(); }
    Failure too_much() const { return fail(ErrorCode::bad_image, "unpacks to more than {}", human_size(limit_)); }

    Result<> take(Listed member) {
        member.sparse = false;
        if (member.size > limit_ - end_) return too_much();
        VMETTE_CHECK_OK(write_line(list_, member, end_));
        if (!member.link.empty()) return {};
        VMETTE_CHECK_OK(copy_contents(member));
        end_ += member.size;
        // What a hole at its end would not have written.
        if (::ftruncate(output_, static_cast<off_t>(end_)) != 0) return fail_errno("write the archive's contents");
        return {};
    }

    Result<> copy_contents(const Listed& member) {
        while (true) {
            const void* data = nullptr;
            std::size_t length = 0;
            la_int64_t offset = 0;
            int result = ::archive_read_data_block(reader_.get(), &data, &length, &offset);
            if (result == ARCHIVE_EOF) return {};
            if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return explain();
            auto start = static_cast<std::uint64_t>(offset);
            if (offset < 0 || start > member.size || length > member.size - start)
                return fail(ErrorCode::bad_image, "holds the entry {}, whose map of holes is not valid",
                            show_name(member.name));
            if (::lseek(output_, static_cast<off_t>(end_ + start), SEEK_SET) < 0) return fail_errno("lseek");
            VMETTE_CHECK_OK(write_all(output_, std::span(static_cast<const std::byte*>(data), length)));
        }
    }

    std::unique_ptr<ByteSource> source_;
    const int output_;
    const int list_;
    const std::uint64_t limit_;
    const OnUnpacked& progress_;
    Reader reader_;
    std::optional<Error> source_error_;
    std::uint64_t streamed_ = 0;
    bool ended_ = false;
    std::uint64_t end_ = 0;  ///< of what was written
};

}  // namespace

Result<> list_archive(int archive_fd, int list) {
    VMETTE_TRY(Reader reader, new_reader());
    if (::archive_read_open_fd(reader.get(), archive_fd, 64 * kKiB) != ARCHIVE_OK) return damaged();
    return each_member(reader.get(), damaged, [&](const Listed& member) {
        auto offset = member.link.empty() ? ::archive_filter_bytes(reader.get(), 0) : 0;
        return write_line(list, member, static_cast<std::uint64_t>(offset));
    });
}

Result<> copy_archive(std::unique_ptr<ByteSource> archive, int output, int list, std::uint64_t limit,
                      const OnUnpacked& progress) {
    return Copy(std::move(archive), output, list, limit, progress).run();
}

}  // namespace vmette::rootfs
