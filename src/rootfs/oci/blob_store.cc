#include "rootfs/oci/blob_store.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/text.h"
#include "rootfs/feeder.h"
#include "rootfs/image_cache.h"
#include "rootfs/report.h"
#include "rootfs/worker_client.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::size_t kMaxList = 8U << 20;
constexpr int kMaxLinks = 8;

/// A file beneath `folder`: no symbolic link leads out of it, and no fifo makes us wait.
Fd open_beneath(int folder, const std::string& name) {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return Fd(static_cast<int>(::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how)));
}

Result<bool> is_compressed(int fd, const std::string& name) {
    constexpr std::string_view kGzip = "\x1f\x8b", kZstd = "\x28\xb5\x2f\xfd", kXz("\xfd\x37\x7a\x58\x5a\x00", 6);
    std::array<char, kXz.size()> first{};
    ssize_t n = ::pread(fd, first.data(), first.size(), 0);
    if (n < 0) return fail_errno("read " + name);
    std::string_view start(first.data(), static_cast<std::size_t>(n));
    return start.starts_with(kGzip) || start.starts_with(kZstd) || start.starts_with(kXz);
}

/// "a/b/../c" as "a/c", lexically; nothing when it climbs out.
std::optional<std::string> clean(const std::string& path) {
    std::filesystem::path normal = std::filesystem::path(path).lexically_normal();
    if (normal.is_absolute() || normal.empty() || *normal.begin() == "..") return std::nullopt;
    return normal.string();
}

}  // namespace

Result<BlobStore> BlobStore::open_folder(const std::filesystem::path& path) {
    BlobStore store;
    store.name_ = path.string();
    VMETTE_TRY(store.folder_, open_file(path, O_RDONLY | O_DIRECTORY));
    return store;
}

Result<BlobStore> BlobStore::open_archive(const std::filesystem::path& path, const Context& context) {
    VMETTE_TRY(Fd file, open_file(path, O_RDONLY | O_NONBLOCK));
    struct stat info{};
    if (::fstat(file.get(), &info) != 0) return fail_errno("look at " + path.string());
    if (!S_ISREG(info.st_mode)) return fail(ErrorCode::bad_input, "{} is not a file", path.string());
    return open_archive(std::move(file), path.string(), context);
}

Result<BlobStore> BlobStore::open_archive(Fd file, std::string name, const Context& context) {
    BlobStore store;
    store.name_ = std::move(name);
    VMETTE_TRY(bool compressed, is_compressed(file.get(), store.name_));
    if (!compressed) VMETTE_CHECK_OK(store.list_archive(file.get(), nullptr, context));
    if (compressed || store.sparse_) {
        VMETTE_TRY(StagedImage contents, StagedImage::create(context.layout));
        VMETTE_CHECK_OK(store.list_archive(file.get(), &contents, context));
        VMETTE_TRY(file, duplicate(contents.fd()));
    }
    for (auto& [member, entry] : store.entries_) entry.member.fd = file.get();
    store.files_.push_back(std::move(file));
    return store;
}

/// Only the worker looks at tar headers. What it says is where bytes are in a file that is the image's own.
Result<> BlobStore::list_archive(int fd, const StagedImage* contents, const Context& context) {
    Fd list(::memfd_create("members", MFD_CLOEXEC));
    if (!list) return fail_errno("memfd_create");
    // The worker reads from where the descriptor stands.
    if (::lseek(fd, 0, SEEK_SET) != 0) return fail_errno("lseek");
    std::vector<std::string> arguments{"list-archive"};
    std::vector<std::pair<int, int>> files{{list.get(), kWorkerOutput}};
    if (contents != nullptr) {
        arguments = {"copy-archive", std::to_string(context.limits.max_unpacked)};
        files = {{contents->fd(), kWorkerOutput}, {list.get(), kWorkerState}};
    }
    VMETTE_TRY(Worker worker, Worker::start(std::move(arguments), fd, std::move(files)));
    auto progress = [&](const ProgressLine& line) {
        if (context.progress) context.progress(Progress{"unpack", line.done, line.total, {}});
    };
    auto done = worker.run([] { return Result<int>(-1); }, progress, context.cancelled);
    if (!done && done.error().code == ErrorCode::bad_image)
        return fail(ErrorCode::bad_image, "{} {}", name_, done.error().message);
    if (!done) return Failure(name_full_cache(done.error(), fmt::format("{} was unpacked", name_)));
    struct stat info{};
    if (::fstat(contents != nullptr ? contents->fd() : fd, &info) != 0) return fail_errno("look at " + name_);
    return take_list(list.get(), static_cast<std::uint64_t>(info.st_size));
}

Result<> BlobStore::take_list(int list, std::uint64_t bytes) {
    if (::lseek(list, 0, SEEK_SET) != 0) return fail_errno("lseek");
    VMETTE_TRY(std::string text, read_all(list, kMaxList, "the list of members"));
    entries_.clear();
    sparse_ = false;
    for (std::size_t start = 0, end = 0; (end = text.find('\n', start)) != text.npos; start = end + 1)
        VMETTE_CHECK_OK(add_entry(std::string_view(text).substr(start, end - start), bytes));
    return {};
}

Result<> BlobStore::add_entry(std::string_view line, std::uint64_t bytes) {
    auto fields = decode_fields(line);
    if (!fields) return fail(ErrorCode::protocol, "the image worker sent a list that is none");
    auto offset = parse_number((*fields)["offset"]), size = parse_number((*fields)["size"]);
    bool sparse = (*fields)["sparse"] == "1";
    if (!offset || !size || (!sparse && (*offset > bytes || *size > bytes - *offset)))
        return fail(ErrorCode::protocol, "the image worker sent a list that is none");
    sparse_ = sparse_ || sparse;
    // A name that climbs is one that nobody asks for.
    if (auto name = clean((*fields)["name"]); name && !sparse)
        entries_[*name] = Entry{{-1, *offset, *size, false}, (*fields)["link"]};
    return {};
}

Result<std::optional<Member>> BlobStore::find(const std::string& name) {
    if (folder_) {
        Fd file = open_beneath(folder_.get(), name);
        struct stat info{};
        if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
        Member member{file.get(), 0, static_cast<std::uint64_t>(info.st_size), true};
        files_.push_back(std::move(file));
        return member;
    }
    auto at = clean(name);
    for (int links = 0; at && links <= kMaxLinks; ++links) {
        auto found = entries_.find(*at);
        if (found == entries_.end()) return std::nullopt;
        if (found->second.link.empty()) return found->second.member;
        at = clean(found->second.link);
    }
    return std::nullopt;
}

Result<std::string> BlobStore::read(const std::string& name, std::size_t limit) {
    VMETTE_TRY(auto member, find(name));
    if (!member) return fail(ErrorCode::not_found, "{} has no file {}", name_, harmless_line(name, 120));
    if (member->size > limit)
        return fail(ErrorCode::bad_image, "{}: {} has {} bytes, more than {}", name_, harmless_line(name, 120),
                    member->size, limit);
    std::string text(member->size, '\0');
    for (std::size_t at = 0; at < text.size();) {
        VMETTE_TRY(auto piece, read_piece_at(member->fd, member->offset + at,
                                             std::as_writable_bytes(std::span(text)).subspan(at), "read a document"));
        if (piece.empty()) return fail(ErrorCode::bad_image, "{}: {} is cut short", name_, harmless_line(name, 120));
        at += piece.size();
    }
    return text;
}

}  // namespace vmette::rootfs::oci
