#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "devices.h"
#include "filesystems.h"

namespace vmette::guest {

namespace {

constexpr char kLower[] = "/lower";
constexpr char kRoot[] = "/root";
/// _IOW('f', 16, __u64), fs/ext4/ext4.h: a count of blocks; no userspace header has it.
constexpr unsigned long kExt4ResizeFs = _IOW('f', 16, std::uint64_t);

Outcome<> make_folder(const std::string& path) {
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno("make folder ", path);
    return {};
}

Outcome<> mount_block_image(const wire::Setup& setup) {
    GUEST_TRY(std::string device, find_disk(setup.root_serial));
    if (setup.restored) GUEST_CHECK(forget_contents(device));
    // Nearly every image is a squashfs: a look at it first would cost more than trying.
    if (mount(device.c_str(), kLower, "squashfs", MS_RDONLY, "") == 0) return {};
    GUEST_TRY(const char* filesystem, detect_filesystem_of(device));
    if (filesystem == nullptr) return fail("the root image holds no filesystem that is known");
    if (mount(device.c_str(), kLower, filesystem, MS_RDONLY, "") != 0)
        return fail_errno("mount the root image (", filesystem, ")");
    return {};
}

Outcome<> mount_lower(const wire::Setup& setup) {
    GUEST_CHECK(make_folder(kLower));
    switch (static_cast<wire::RootKind>(setup.root)) {
        case wire::RootKind::block:
            return mount_block_image(setup);
        case wire::RootKind::virtiofs:
            if (mount(setup.root_tag.c_str(), kLower, "virtiofs", MS_RDONLY, "") == 0) return {};
            return fail_errno("mount the root folder by virtiofs");
        case wire::RootKind::plan9:
            if (mount(setup.root_tag.c_str(), kLower, "9p", MS_RDONLY, plan9_options(true).c_str()) == 0) return {};
            return fail_errno("mount the root folder by 9p");
    }
    return fail("root kind ", setup.root, " is not known");
}

/// The host copies a small template: the filesystem may be smaller than its disk.
Outcome<> grow_scratch(const std::string& device) {
    GUEST_TRY(std::uint64_t size, disk_size(device));
    Fd top(open(kUpperFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct statfs status{};
    if (!top || fstatfs(top.get(), &status) != 0) return fail_errno("look at the scratch disk");
    std::uint64_t blocks = size / static_cast<std::uint64_t>(status.f_bsize);
    // What it counts leaves out its own tables, a few percent: a template of the disk's size is not looked at closer.
    if (static_cast<std::uint64_t>(status.f_blocks) > blocks - blocks / 8) return {};
    if (ioctl(top.get(), kExt4ResizeFs, &blocks) != 0) return fail_errno("grow the scratch disk");
    return {};
}

Outcome<> mount_upper(const wire::Setup& setup) {
    GUEST_CHECK(make_folder(kUpperFolder));
    if (static_cast<wire::UpperKind>(setup.upper) != wire::UpperKind::scratch) {
        if (mount("tmpfs", kUpperFolder, "tmpfs", 0, "mode=0755") != 0) return fail_errno("mount the upper layer");
        return {};
    }
    GUEST_TRY(std::string device, find_disk(setup.scratch_serial));
    if (setup.restored) GUEST_CHECK(forget_contents(device));
    // Nobody reads a scratch disk after the run: no barriers, no times, no care for half-written files, no checks of
    // its own tables, and no inode tables zeroed in the background (they lie in a hole of the host's file).
    if (mount(device.c_str(), kUpperFolder, "ext4", MS_NOATIME,
              "nobarrier,noauto_da_alloc,noinit_itable,noblock_validity") != 0) {
        auto refused = fail_errno("mount the scratch disk");
        GUEST_TRY(const char* filesystem, detect_filesystem_of(device));
        if (filesystem == nullptr || std::string_view(filesystem) != "ext4")
            return fail("the scratch disk holds no ext4 filesystem");
        return refused;
    }
    return grow_scratch(device);
}

}  // namespace

std::string plan9_options(bool loose) {
    return text("trans=virtio,version=9p2000.L,msize=524288,cache=", loose ? "loose" : "mmap");
}

Outcome<> mount_overlay(const Tree& tree, const std::string& path, const std::string& lower, const std::string& name) {
    const std::string base = text(kUpperFolder, "/", name);
    GUEST_CHECK(make_folder(base));
    GUEST_CHECK(make_folder(text(base, "/up")));
    GUEST_CHECK(make_folder(text(base, "/work")));
    // The top of an overlay has the upper folder's mode and owner: they must be the lower's.
    struct stat status{};
    if (stat(lower.c_str(), &status) == 0) {
        [[maybe_unused]] int owned = chown(text(base, "/up").c_str(), status.st_uid, status.st_gid);
        chmod(text(base, "/up").c_str(), status.st_mode & 07777);
    }
    // volatile: what is written does not outlive the run, so fsync in the guest has nothing to wait for.
    return tree.mount_at(path, "overlay", "overlay", 0,
                         text("lowerdir=", lower, ",upperdir=", base, "/up,workdir=", base, "/work,volatile"));
}

Outcome<Root> Root::assemble(const wire::Setup& setup) {
    if (setup.upper > static_cast<std::uint8_t>(wire::UpperKind::scratch))
        return fail("upper kind ", setup.upper, " is not known");
    GUEST_CHECK(mount_lower(setup));
    GUEST_CHECK(mount_upper(setup));
    GUEST_CHECK(make_folder(kRoot));
    {
        GUEST_TRY(Tree initramfs, Tree::open("/"));
        GUEST_CHECK(mount_overlay(initramfs, kRoot, kLower, "root"));
    }
    GUEST_TRY(Tree tree, Tree::open(kRoot));
    return Root(std::move(tree));
}

Outcome<> Root::freeze() {
    tree_ = Tree(Fd());
    if (umount2(kRoot, 0) != 0) return fail_errno("unmount the prepared root");
    const std::string layers = text("lowerdir=", kUpperFolder, "/root/up:", kLower);
    if (mount("overlay", kRoot, "overlay", MS_RDONLY, layers.c_str()) != 0)
        return fail_errno("mount the root read-only");
    GUEST_TRY(tree_, Tree::open(kRoot));
    return {};
}

Outcome<> Root::enter() {
    if (chdir(kRoot) != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0 || chdir("/") != 0)
        return fail_errno("enter the root");
    return {};
}

void UpperUsage::begin() {
    upper_ = Fd(open(kUpperFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    baseline_ = in_use();
}

std::uint64_t UpperUsage::in_use() const {
    struct statfs status{};
    if (!upper_ || fstatfs(upper_.get(), &status) != 0) return 0;
    return (static_cast<std::uint64_t>(status.f_blocks) - static_cast<std::uint64_t>(status.f_bfree)) *
           static_cast<std::uint64_t>(status.f_bsize);
}

std::uint64_t UpperUsage::bytes() const {
    std::uint64_t now = in_use();
    return now > baseline_ ? now - baseline_ : 0;
}

}  // namespace vmette::guest
