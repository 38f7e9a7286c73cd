#pragma once
/// What a filesystem tree holds, as text that can be compared.

#include <filesystem>
#include <map>
#include <string>

namespace vmette::rootfs {

/// For each path beneath `root`: type, mode, owner, size, time (not of folders), links, device, target, extended
/// attributes and SHA-256 of the content.
using TreeListing = std::map<std::string, std::string>;

TreeListing list_tree(const std::filesystem::path& root);
/// The same of a squashfs image, unpacked by unsquashfs into `scratch`.
TreeListing list_image(const std::filesystem::path& image, const std::filesystem::path& scratch);
/// Lines that differ, for a failure message; empty when the trees are alike.
std::string differences(const TreeListing& expected, const TreeListing& found);

}  // namespace vmette::rootfs
