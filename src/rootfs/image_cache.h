#pragma once
/// The folder of images: immutable files named by their SHA-256. A file appears there whole or not at all.
/// Who uses an image holds a shared flock(2) on it; who wants to remove one takes it exclusively first.

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/layout.h"
#include "base/log.h"
#include "rootfs/provider.h"

namespace vmette::rootfs {

/// An open image with its shared lock.
struct OpenImage {
    Fd fd;
    std::filesystem::path path;
    std::string digest;  ///< "sha256:…"
    std::uint64_t bytes = 0;
};

/// Before images are used: their folder is there, and nobody else can write it. `io` when it is another user's.
Result<> prepare_images(const Layout& layout);

/// Opens the image of a record. `not_found` when it is gone or its size is not the recorded one; `io` when others could
/// have written it.
Result<OpenImage> open_image(const Layout& layout, const std::string& digest, std::uint64_t bytes);

/// How loud it is said that open_image() failed: an image that is gone is nothing to worry about.
LogLevel level_of(const Error& why_not_opened);

/// A new image under construction: a file without a name where the filesystem can do that, else one with a name that
/// the next staging removes once nobody holds it. Dropping it leaves nothing. Move-only.
class StagedImage {
public:
    static Result<StagedImage> create(const Layout& layout);
    StagedImage(StagedImage&& other) noexcept;
    StagedImage& operator=(StagedImage&&) = delete;
    ~StagedImage();

    /// Read and write; owned by this object.
    int fd() const { return fd_.get(); }
    /// Hashes what was written, and gives it its name in the cache. An image that is there already is kept.
    Result<OpenImage> publish(const Layout& layout) &&;

private:
    StagedImage(Fd fd, std::filesystem::path name) : fd_(std::move(fd)), name_(std::move(name)) {}
    Result<> give_name(const std::filesystem::path& to) const;

    Fd fd_;
    std::filesystem::path name_;  ///< empty: it has none
};

/// Removes an image's file unless somebody uses it: false. One that is not there is removed already.
Result<bool> remove_image(const Layout& layout, const std::string& digest);

/// Whether somebody holds the image's lock at this moment.
bool is_image_in_use(const Layout& layout, const std::string& digest);

/// An image's file as the folder has it; `digest` is what its name says.
struct ImageFile {
    std::string digest;  ///< "sha256:…"
    std::uint64_t bytes = 0;
    std::chrono::system_clock::time_point changed;
};
/// All of them, in no order. An unreadable or missing folder has none.
std::vector<ImageFile> image_files(const Layout& layout);

/// An exclusive flock(2) on a lock file of the cache, for as long as this lives; made when it isn't there.
/// Waits while another process holds it; `cancelled` when `cancelled` says so meanwhile.
Result<Fd> take_lock(const Layout& layout, const std::string& name, const std::function<bool()>& cancelled);

/// `error`, told as what it means for the user when the cache's filesystem is full: "no space left on the cache's
/// filesystem while …".
Error name_full_cache(Error error, std::string_view doing);

}  // namespace vmette::rootfs
