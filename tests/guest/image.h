#pragma once
/// Root images for tests, made of busybox on the spot.

#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"

namespace vmette::guest_test {

/// A folder that is removed with the object.
class ScratchFolder {
public:
    ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder();
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// Writes a busybox root into `folder`; `not_found` when busybox is not installed.
Result<> write_root(const std::filesystem::path& folder);
/// Packs a folder into a squashfs image.
Result<> pack(const std::filesystem::path& folder, const std::filesystem::path& image);
/// A sparse file of `disk_bytes` with an ext4 of `fs_bytes` at its start.
Result<> make_ext4(const std::filesystem::path& image, std::uint64_t fs_bytes, std::uint64_t disk_bytes);

void write_file(const std::filesystem::path& path, std::string_view content);
std::string read_text(const std::filesystem::path& path);

}  // namespace vmette::guest_test
