#include "scheduler/tree_digest.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <tuple>

#include "base/digest.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/units.h"

namespace vmette::scheduler {
namespace {

/// Folders within folders; each holds a descriptor while it is gone through.
constexpr int kMaxDepth = 256;
constexpr std::size_t kPiece = 256 * kKiB;
/// Of an entry's digest in a listing: enough to tell two versions of one file apart.
constexpr std::size_t kShortDigest = 16;

/// One thing in a tree. `fd` is where `name` lies; of the root itself the name is empty and `fd` is it.
struct Entry {
    int fd;
    const std::string& name;
    const std::string& path;  ///< below the root; empty: the root
    const struct stat& status;
};
using Visit = std::function<Result<>(const Entry& entry)>;

std::string shown(const std::filesystem::path& root, const std::string& path) {
    return harmless_line(path.empty() ? root.string() : (root / path).string());
}

Result<std::vector<std::string>> names_in(int folder, const std::string& shown_path) {
    // A descriptor of its own: closedir() takes it along, and the position is not shared.
    Fd copy(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!copy) return fail_errno("read the folder " + shown_path);
    DIR* opened = ::fdopendir(copy.get());
    if (opened == nullptr) return fail_errno("read the folder " + shown_path);
    std::ignore = copy.release();
    std::unique_ptr<DIR, int (*)(DIR*)> stream(opened, ::closedir);
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(stream.get());
        if (entry == nullptr) break;
        std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        names.emplace_back(name);
        if (names.size() > kMaxTreeEntries) break;
    }
    if (errno != 0) return fail_errno("read the folder " + shown_path);
    std::ranges::sort(names);
    return names;
}

/// Goes through a tree, a folder before what is in it, names in the order of their bytes.
class Walk {
public:
    Walk(const std::filesystem::path& root, const Visit& visit, const Cancelled& cancelled)
        : root_(root), visit_(visit), cancelled_(cancelled) {}

    Result<> go() {
        struct stat status{};
        VMETTE_TRY(Fd place, open_file(root_, O_PATH));
        if (::fstat(place.get(), &status) != 0) return fail_errno("look at " + shown(root_, {}));
        if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
            return fail(ErrorCode::io, "{} is neither a file nor a folder", shown(root_, {}));
        // Not by its name again, which may mean another thing by now.
        Fd root(::open(fmt::format("/proc/self/fd/{}", place.get()).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (!root) return fail_errno("open " + shown(root_, {}));
        VMETTE_CHECK_OK(visit_({root.get(), {}, {}, status}));
        if (!S_ISDIR(status.st_mode)) return {};
        return below(root.get(), {}, 0);
    }

private:
    Result<> below(int folder, const std::string& path, int depth) {
        if (depth == kMaxDepth)
            return fail(ErrorCode::unsupported, "{}: more than {} folders within folders", shown(root_, path),
                        kMaxDepth);
        VMETTE_TRY(auto names, names_in(folder, shown(root_, path)));
        for (const auto& name : names) {
            if (++entries_ > kMaxTreeEntries)
                return fail(ErrorCode::unsupported, "{} holds more than {} files", shown(root_, {}), kMaxTreeEntries);
            if (cancelled_ && cancelled_()) return fail(ErrorCode::cancelled, "interrupted");
            std::string inner = path.empty() ? name : fmt::format("{}/{}", path, name);
            struct stat status{};
            if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
                return fail_errno("look at " + shown(root_, inner));
            VMETTE_CHECK_OK(visit_({folder, name, inner, status}));
            if (!S_ISDIR(status.st_mode)) continue;
            Fd next(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            if (!next) return fail_errno("open the folder " + shown(root_, inner));
            VMETTE_CHECK_OK(below(next.get(), inner, depth + 1));
        }
        return {};
    }

    const std::filesystem::path& root_;
    const Visit& visit_;
    const Cancelled& cancelled_;
    std::uint64_t entries_ = 0;
};

/// Length first, so that no two lists of texts look alike.
void add(Sha256& hash, std::string_view text) { hash.update(fmt::format("{}:{}", text.size(), text)); }

/// "" where the file system has none.
Result<std::string> attributes_of(int fd, const std::string& what) {
    std::string names(4 * kKiB, '\0');
    ssize_t length = ::flistxattr(fd, names.data(), names.size());
    if (length < 0 && errno == ERANGE) {
        names.resize(64 * kKiB);  // XATTR_LIST_MAX
        length = ::flistxattr(fd, names.data(), names.size());
    }
    if (length < 0 && (errno == ENOTSUP || errno == ENOSYS)) return std::string();
    if (length < 0) return fail_errno("read the attributes of " + what);
    names.resize(static_cast<std::size_t>(length));
    std::vector<std::string> found;
    for (std::string_view rest = names; !rest.empty();) {
        std::string name(rest.substr(0, rest.find('\0')));
        rest.remove_prefix(std::min(name.size() + 1, rest.size()));
        std::string value(64 * kKiB, '\0');  // XATTR_SIZE_MAX
        ssize_t size = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
        if (size < 0 && errno == ENODATA) continue;
        if (size < 0) return fail_errno(fmt::format("read the attribute {} of {}", name, what));
        value.resize(static_cast<std::size_t>(size));
        found.push_back(fmt::format("{}:{}{}:{}", name.size(), name, value.size(), value));
    }
    std::ranges::sort(found);
    return fmt::format("{}", fmt::join(found, ""));
}

Result<std::string> content_of(int fd, off_t size, const std::string& what, const Cancelled& cancelled) {
    Sha256 hash;
    // One more than there should be, so that the end is seen at once.
    std::vector<std::byte> piece(std::min(kPiece, static_cast<std::size_t>(size) + 1));
    for (off_t at = 0;;) {
        if (cancelled && cancelled()) return fail(ErrorCode::cancelled, "interrupted");
        ssize_t n = ::pread(fd, piece.data(), piece.size(), at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno("read " + what);
        if (n == 0) return hash.hex();
        hash.update(std::span(piece).first(static_cast<std::size_t>(n)));
        at += n;
    }
}

Result<std::string> link_target(const Entry& entry, const std::string& what) {
    std::string target(static_cast<std::size_t>(PATH_MAX) + 1, '\0');
    ssize_t n = ::readlinkat(entry.fd, entry.name.c_str(), target.data(), target.size());
    if (n < 0) return fail_errno("read the link " + what);
    target.resize(static_cast<std::size_t>(n));
    return target;
}

/// A file or folder opened for reading, and still what it was when it was looked at.
Result<Fd> open_entry(const Entry& entry, const std::string& what) {
    if (entry.name.empty()) return duplicate(entry.fd);
    Fd fd(::openat(entry.fd, entry.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd) return fail_errno("open " + what);
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) return fail_errno("look at " + what);
    if (status.st_ino != entry.status.st_ino || (status.st_mode & S_IFMT) != (entry.status.st_mode & S_IFMT))
        return fail(ErrorCode::io, "{} changed while it was read", what);
    return fd;
}

/// All that counts of one entry but its path.
Result<std::string> entry_digest(const Entry& entry, const std::string& what, const Cancelled& cancelled) {
    const auto& status = entry.status;
    Sha256 hash;
    add(hash, fmt::format("{:o} {} {}", status.st_mode, status.st_uid, status.st_gid));
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) {
        VMETTE_TRY(Fd fd, open_entry(entry, what));
        VMETTE_TRY(auto attributes, attributes_of(fd.get(), what));
        add(hash, attributes);
        if (S_ISREG(status.st_mode)) {
            VMETTE_TRY(auto content, content_of(fd.get(), status.st_size, what, cancelled));
            add(hash, content);
        }
    } else if (S_ISLNK(status.st_mode)) {
        VMETTE_TRY(auto target, link_target(entry, what));
        add(hash, target);
    } else {
        bool device = S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
        add(hash, device ? std::to_string(status.st_rdev) : "");
    }
    return hash.hex();
}

WallTime to_wall(const timespec& time) {
    return WallTime(std::chrono::milliseconds(time.tv_sec * std::int64_t{1000} + time.tv_nsec / 1'000'000));
}

/// One line of a listing; its path is empty when nothing is left.
struct Line {
    std::string_view digest, path;
};

Line take_line(std::string_view& listing) {
    auto end = listing.find('\0');
    if (end == listing.npos || end < kShortDigest) {
        listing = {};
        return {};
    }
    Line line{listing.substr(0, kShortDigest), listing.substr(kShortDigest, end - kShortDigest)};
    listing.remove_prefix(end + 1);
    return line;
}

}  // namespace

Result<TreeDigest> digest_tree(const std::filesystem::path& path, const Cancelled& cancelled) {
    Sha256 whole;
    std::vector<std::pair<std::string, std::string>> lines;
    std::size_t length = 0;
    Visit visit = [&](const Entry& entry) -> Result<> {
        VMETTE_TRY(auto digest, entry_digest(entry, shown(path, entry.path), cancelled));
        add(whole, entry.path);
        whole.update(digest);
        length += kShortDigest + entry.path.size() + 1;
        // A tree's order is that of its walk; a listing's is that of whole paths, which can be merged.
        if (length <= kMaxTreeListing)
            lines.emplace_back(entry.path.empty() ? "." : entry.path, digest.substr(0, kShortDigest));
        return {};
    };
    VMETTE_CHECK_OK(Walk(path, visit, cancelled).go());
    TreeDigest out{.digest = "sha256:" + whole.hex(), .listing = nullptr};
    if (length > kMaxTreeListing) return out;
    std::ranges::sort(lines);
    std::string listing;
    for (const auto& [name, digest] : lines) listing.append(digest).append(name).push_back('\0');
    out.listing = std::make_shared<const std::string>(std::move(listing));
    return out;
}

Result<TreeStamp> stamp_tree(const std::filesystem::path& path, const Cancelled& cancelled) {
    Sha256 whole;
    TreeStamp out;
    Visit visit = [&](const Entry& entry) -> Result<> {
        const auto& status = entry.status;
        add(whole, entry.path);
        whole.update(fmt::format("{} {} {:o} {} {} {} {}.{} {}.{} ", status.st_dev, status.st_ino, status.st_mode,
                                 status.st_uid, status.st_gid, status.st_size, status.st_mtim.tv_sec,
                                 status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec));
        out.newest_change = std::max(out.newest_change, to_wall(status.st_ctim));
        return {};
    };
    VMETTE_CHECK_OK(Walk(path, visit, cancelled).go());
    out.stamp = whole.hex();
    return out;
}

FileChanges changed_files(std::string_view before, std::string_view after, std::size_t limit) {
    FileChanges out;
    auto note = [&](std::string_view what, std::string_view path) {
        if (out.count++ < limit) out.first.push_back(fmt::format("{} {}", what, harmless_line(path)));
    };
    Line old = take_line(before), fresh = take_line(after);
    while (!old.path.empty() || !fresh.path.empty()) {
        bool only_old = fresh.path.empty() || (!old.path.empty() && old.path < fresh.path);
        bool only_fresh = old.path.empty() || (!fresh.path.empty() && fresh.path < old.path);
        if (only_old)
            note("gone", old.path);
        else if (only_fresh)
            note("new", fresh.path);
        else if (old.digest != fresh.digest)
            note("changed", fresh.path);
        if (!only_fresh) old = take_line(before);
        if (!only_old) fresh = take_line(after);
    }
    return out;
}

}  // namespace vmette::scheduler
