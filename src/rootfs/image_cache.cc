#include "rootfs/image_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/digest.h"

namespace vmette::rootfs {
namespace {

constexpr std::string_view kStagingSuffix = ".staging";
constexpr mode_t kImageMode = 0400;

std::string own_path(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

Result<> lock_shared(int fd, const std::filesystem::path& path) {
    while (::flock(fd, LOCK_SH) != 0)
        if (errno != EINTR) return fail_errno("lock " + path.string());
    return {};
}

Result<std::filesystem::path> image_path(const Layout& layout, std::string_view digest) {
    constexpr std::string_view kPrefix = "sha256:";
    if (!digest.starts_with(kPrefix) || digest.find('/') != digest.npos)
        return fail(ErrorCode::not_found, "{} names no image", digest);
    return layout.image(digest.substr(kPrefix.size()));
}

/// Where files without a name can't be made: a killed builder's file stays until the next one comes here. A live
/// builder holds its file's lock.
void sweep_staging(const std::filesystem::path& folder) {
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
        if (!file.path().string().ends_with(kStagingSuffix)) continue;
        auto fd = open_file(file.path(), O_RDONLY | O_NOFOLLOW);
        if (fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) ::unlink(file.path().c_str());
    }
}

}  // namespace

Error name_full_cache(Error error, std::string_view doing) {
    if (error.code != ErrorCode::no_space) return error;
    return Error{error.code, fmt::format("no space left on the cache's filesystem while {}", doing), nullptr};
}

Result<> prepare_images(const Layout& layout) { return make_cache_dir(layout.images_dir()); }

Result<OpenImage> open_image(const Layout& layout, const std::string& digest, std::uint64_t bytes) {
    OpenImage image;
    VMETTE_TRY(image.path, image_path(layout, digest));
    image.digest = digest;
    VMETTE_CHECK_OK(require_cache_dir(layout.images_dir()));
    VMETTE_TRY(image.fd, open_file(image.path, O_RDONLY | O_NOFOLLOW));
    VMETTE_CHECK_OK(require_private(image.fd, image.path));
    VMETTE_CHECK_OK(lock_shared(image.fd.get(), image.path));
    struct stat info{};
    if (::fstat(image.fd.get(), &info) != 0) return fail_errno(image.path.string());
    image.bytes = static_cast<std::uint64_t>(info.st_size);
    // Without a name: it was removed between the open and the lock.
    if (info.st_nlink == 0 || image.bytes != bytes || !S_ISREG(info.st_mode))
        return fail(ErrorCode::not_found, "{} is not the image that was put there", image.path.string());
    return image;
}

LogLevel level_of(const Error& why_not_opened) {
    return why_not_opened.code == ErrorCode::not_found ? LogLevel::info : LogLevel::warn;
}

Result<StagedImage> StagedImage::create(const Layout& layout) {
    auto folder = layout.images_dir();
    VMETTE_CHECK_OK(prepare_images(layout));
    sweep_staging(folder);
    auto unnamed = open_file(folder, O_TMPFILE | O_RDWR, 0600);
    if (unnamed) return StagedImage(*std::move(unnamed), {});
    std::string name = (folder / fmt::format("XXXXXX{}", kStagingSuffix)).string();
    int fd = ::mkostemps(name.data(), static_cast<int>(kStagingSuffix.size()), O_CLOEXEC);
    if (fd < 0) return fail_errno("create a file in " + folder.string());
    StagedImage image(Fd(fd), name);
    if (::flock(fd, LOCK_EX) != 0) return fail_errno("lock " + name);
    return image;
}

StagedImage::StagedImage(StagedImage&& other) noexcept
    : fd_(std::move(other.fd_)), name_(std::exchange(other.name_, {})) {}

StagedImage::~StagedImage() {
    if (!name_.empty()) ::unlink(name_.c_str());
}

Result<> StagedImage::give_name(const std::filesystem::path& to) const {
    // linkat() from /proc needs no privilege, unlike AT_EMPTY_PATH.
    int result = name_.empty()
                     ? ::linkat(AT_FDCWD, own_path(fd_.get()).c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW)
                     : ::link(name_.c_str(), to.c_str());
    if (result == 0) return {};
    return fail_errno("create " + to.string());
}

Result<OpenImage> StagedImage::publish(const Layout& layout) && {
    VMETTE_TRY(std::string hex, sha256_fd(fd_.get(), "the new image"));
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return fail_errno("look at the new image");
    auto bytes = static_cast<std::uint64_t>(info.st_size);
    std::string digest = "sha256:" + hex;
    // What stands there under this name is this image, unless a crash of the host cut it.
    if (auto there = open_image(layout, digest, bytes)) return there;
    if (::fchmod(fd_.get(), kImageMode) != 0) return fail_errno("protect the new image");
    // On disk before it has a name: a name is believed later, and only the size is checked then.
    if (::fdatasync(fd_.get()) != 0) return fail_errno("write the new image");

    OpenImage image{{}, layout.image(hex), digest, bytes};
    VMETTE_TRY(image.fd, open_file(own_path(fd_.get()), O_RDONLY));
    // Locked before it has a name, so that nobody can take it away in between.
    VMETTE_CHECK_OK(lock_shared(fd_.get(), image.path));
    VMETTE_CHECK_OK(lock_shared(image.fd.get(), image.path));
    std::filesystem::path beside = layout.images_dir() / fmt::format("{}.{}{}", hex, ::getpid(), kStagingSuffix);
    VMETTE_CHECK_OK(give_name(beside));
    // By way of a second name, because rename() replaces a damaged image and link() does not.
    if (::rename(beside.c_str(), image.path.c_str()) != 0) {
        Error error = errno_error(errno, "create " + image.path.string());
        ::unlink(beside.c_str());
        return Failure(error);
    }
    return image;
}

Result<bool> remove_image(const Layout& layout, const std::string& digest) {
    VMETTE_TRY(auto path, image_path(layout, digest));
    auto ours = require_cache_dir(layout.images_dir());
    if (!ours && ours.error().code == ErrorCode::not_found) return true;
    if (!ours) return Failure(ours.error());
    auto fd = open_file(path, O_RDONLY | O_NOFOLLOW);
    if (!fd && fd.error().code == ErrorCode::not_found) return true;
    if (!fd) return Failure(fd.error());
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return false;
        return fail_errno("lock " + path.string());
    }
    // Another process may have replaced the file meanwhile: then this one has no name any more, and that one is new.
    struct stat info{};
    if (::fstat(fd->get(), &info) == 0 && info.st_nlink == 0) return true;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove " + path.string());
    return true;
}

bool is_image_in_use(const Layout& layout, const std::string& digest) {
    auto path = image_path(layout, digest);
    if (!path) return false;
    auto fd = open_file(*path, O_RDONLY | O_NOFOLLOW);
    return fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

std::vector<ImageFile> image_files(const Layout& layout) {
    constexpr std::string_view kSuffix = ".squashfs";
    std::vector<ImageFile> files;
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(layout.images_dir(), ignored)) {
        std::string name = file.path().filename().string();
        struct stat info{};
        if (!name.ends_with(kSuffix) || ::lstat(file.path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
        name.resize(name.size() - kSuffix.size());
        files.push_back({.digest = "sha256:" + name,
                         .bytes = static_cast<std::uint64_t>(info.st_size),
                         .changed = std::chrono::system_clock::from_time_t(info.st_ctim.tv_sec)});
    }
    return files;
}

Result<Fd> take_lock(const Layout& layout, const std::string& name, const std::function<bool()>& cancelled) {
    constexpr std::chrono::milliseconds kPoll{10};
    auto path = layout.lock(name);
    VMETTE_CHECK_OK(make_cache_dir(path.parent_path()));
    VMETTE_TRY(Fd fd, open_file(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno("lock " + path.string());
        if (cancelled && cancelled()) return fail(ErrorCode::cancelled, "cancelled while another process works on it");
        std::this_thread::sleep_for(kPoll);
    }
    return fd;
}

}  // namespace vmette::rootfs
