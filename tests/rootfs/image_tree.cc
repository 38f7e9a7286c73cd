#include "rootfs/image_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/digest.h"
#include "base/text.h"
#include "rootfs/fixture.h"

namespace vmette::rootfs {
namespace {

std::string describe_xattrs(const std::string& path) {
    std::array<char, 4096> names{};
    ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
    std::vector<std::string> found;
    for (ssize_t at = 0; at < size;) {
        std::string name(names.data() + at);
        at += static_cast<ssize_t>(name.size()) + 1;
        std::array<char, 65536> value{};
        ssize_t length = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
        if (length >= 0) found.push_back(name + "=" + harmless(std::string(value.data(), static_cast<size_t>(length))));
    }
    std::sort(found.begin(), found.end());
    std::string out;
    for (const auto& one : found) out += " " + one;
    return out;
}

std::string describe(const std::filesystem::path& path) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return "?";
    std::string out = fmt::format("{:o} {}:{}", info.st_mode, info.st_uid, info.st_gid);
    if (!S_ISDIR(info.st_mode))
        out += fmt::format(" size {} time {} links {}", info.st_size, info.st_mtime, info.st_nlink);
    if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) out += fmt::format(" device {:x}", info.st_rdev);
    if (S_ISLNK(info.st_mode)) out += " -> " + std::filesystem::read_symlink(path).string();
    if (S_ISREG(info.st_mode)) out += " sha256 " + sha256_file(path).value_or("?");
    return out + describe_xattrs(path.string());
}

}  // namespace

TreeListing list_tree(const std::filesystem::path& root) {
    TreeListing listing{{".", describe(root)}};
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
        listing[entry.path().lexically_relative(root).string()] = describe(entry.path());
    return listing;
}

TreeListing list_image(const std::filesystem::path& image, const std::filesystem::path& scratch) {
    auto target = scratch / "unsquashed";
    std::filesystem::remove_all(target);
    run_program({"unsquashfs", "-quiet", "-no-progress", "-dest", target.string(), image.string()});
    return list_tree(target);
}

std::string differences(const TreeListing& expected, const TreeListing& found) {
    std::string out;
    for (const auto& [path, what] : expected) {
        auto there = found.find(path);
        if (there == found.end())
            out += fmt::format("missing {}: {}\n", path, what);
        else if (there->second != what)
            out += fmt::format("{}:\n  expected {}\n  found    {}\n", path, what, there->second);
    }
    for (const auto& [path, what] : found)
        if (!expected.contains(path)) out += fmt::format("extra {}: {}\n", path, what);
    return out;
}

}  // namespace vmette::rootfs
