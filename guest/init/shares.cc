#include "shares.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices.h"
#include "filesystems.h"
#include "root.h"

namespace vmette::guest {

namespace {

constexpr unsigned long kShareFlags = MS_NOSUID | MS_NODEV;
constexpr unsigned long kReadOnly = MS_RDONLY;

bool cannot_be_written(std::string_view filesystem) {
    return filesystem == "squashfs" || filesystem == "erofs" || filesystem == "iso9660";
}

Outcome<> check_mount_point(const std::string& path) {
    GUEST_TRY(std::string plain, plain_path(path));
    if (!path.starts_with('/') || plain.empty()) return fail("\"", path, "\" is no place to mount something");
    return {};
}

Outcome<> mount_share_at(const Tree& tree, const std::string& path, const wire::ShareMount& share) {
    const bool read_only = share.read_only || share.overlay;
    const unsigned long flags = kShareFlags | (read_only ? kReadOnly : 0UL);
    switch (static_cast<wire::ShareTransport>(share.transport)) {
        case wire::ShareTransport::virtiofs:
            return tree.mount_at(path, share.tag, "virtiofs", flags, "");
        case wire::ShareTransport::plan9:
            // Only beneath an overlay is a share known to stay as it is; else the host's changes are to be seen.
            return tree.mount_at(path, share.tag, "9p", flags, plan9_options(share.overlay));
    }
    return fail("share transport ", share.transport, " is not known");
}

Outcome<> mount_overlaid(const Tree& tree, const wire::ShareMount& share, std::size_t index) {
    const std::string below = text("/share-", index);
    GUEST_TRY(Tree initramfs, Tree::open("/"));
    GUEST_CHECK(mount_share_at(initramfs, below, share));
    return mount_overlay(tree, share.path, below, text("share-", index));
}

Outcome<> note_written(const Tree& tree, const std::string& path, std::vector<WrittenThrough>& written) {
    GUEST_TRY(std::string plain, plain_path(path));
    Fd folder = tree.open_at(plain, O_RDONLY | O_DIRECTORY);
    if (!folder) return fail_errno("open ", path);
    written.push_back(WrittenThrough{path, std::move(folder)});
    return {};
}

void link_by_id(const Tree& tree, const std::string& serial, const std::string& device) {
    auto folder = tree.make_directory("dev/disk/by-id");
    if (folder && serial.find('/') == std::string::npos) [[maybe_unused]]
        int made = symlinkat(device.c_str(), folder->get(), text("virtio-", serial).c_str());
}

}  // namespace

Outcome<> prepare_mount_points(const Tree& tree, const wire::Setup& setup) {
    for (const wire::ShareMount& share : setup.shares) {
        GUEST_CHECK(check_mount_point(share.path));
        GUEST_CHECK(tree.make_directory(share.path));
    }
    for (const wire::DiskMount& disk : setup.disks) {
        if (disk.path.empty()) continue;
        GUEST_CHECK(check_mount_point(disk.path));
        GUEST_CHECK(tree.make_directory(disk.path));
    }
    return {};
}

Outcome<> mount_shares(const Tree& tree, const std::vector<wire::ShareMount>& shares,
                       std::vector<WrittenThrough>& written) {
    for (std::size_t i = 0; i < shares.size(); ++i) {
        const wire::ShareMount& share = shares[i];
        if (share.overlay) {
            GUEST_CHECK(mount_overlaid(tree, share, i));
            continue;
        }
        GUEST_CHECK(mount_share_at(tree, share.path, share));
        if (!share.read_only) GUEST_CHECK(note_written(tree, share.path, written));
    }
    return {};
}

Outcome<> mount_disks(const Tree& tree, const std::vector<wire::DiskMount>& disks, std::vector<WrittenThrough>& written,
                      std::vector<std::string>& warnings) {
    for (const wire::DiskMount& disk : disks) {
        GUEST_TRY(std::string device, find_disk(disk.serial));
        link_by_id(tree, disk.serial, device);
        if (disk.path.empty()) continue;
        GUEST_TRY(const char* filesystem, detect_filesystem_of(device));
        if (filesystem == nullptr) {
            warnings.push_back(text("the disk for ", disk.path, " holds no filesystem that is known: it is ", device,
                                    ", not mounted"));
            continue;
        }
        const bool read_only = disk.read_only || cannot_be_written(filesystem);
        GUEST_CHECK(tree.mount_at(disk.path, device, filesystem, kShareFlags | (read_only ? kReadOnly : 0UL), ""));
        if (!read_only) GUEST_CHECK(note_written(tree, disk.path, written));
    }
    return {};
}

}  // namespace vmette::guest
