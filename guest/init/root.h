#pragma once
/// The root filesystem: the image below, the upper layer above it, and what every Linux program expects inside.

#include <functional>

#include "../protocol.h"
#include "support.h"
#include "tree.h"

namespace vmette::guest {

/// The layers, assembled at /root of the initramfs and not yet anybody's root.
class Root {
public:
    /// Mounts the lower layer and a writable upper one above it: the scratch disk, or guest memory.
    static Outcome<Root> assemble(const wire::Setup& setup);

    const Tree& tree() const { return tree_; }
    /// With UpperKind::none: freezes image and what was prepared in it into a root that has no upper layer at all, so
    /// nothing, not even a remount, makes it writable. Every mount point must have been made before.
    Outcome<> freeze();
    /// /proc, /sys, /dev and the rest.
    Outcome<> mount_system(bool read_only);
    /// Makes it the root of this process and of all later ones.
    Outcome<> enter();

private:
    explicit Root(Tree tree) : tree_(std::move(tree)) {}
    Tree tree_;
};

/// The folders that mount_system() mounts on; made while the root can still be written.
Outcome<> prepare_system_folders(const Tree& tree);

/// Where overlays keep what is written to them; on the scratch disk, or in memory.
constexpr char kUpperFolder[] = "/upper";

/// Mounts an overlay of `lower` on `path` in the tree, its writes kept in kUpperFolder/`name`.
Outcome<> mount_overlay(const Tree& tree, const std::string& path, const std::string& lower, const std::string& name);

/// Bytes in use on the upper filesystem, less what it had in use when it was new.
class UpperUsage {
public:
    /// Requires that the upper filesystem is mounted.
    void begin();
    std::uint64_t bytes() const;

private:
    std::uint64_t in_use() const;
    Fd upper_;
    std::uint64_t baseline_ = 0;
};

/// Options of a 9p mount; `loose` caches as if nobody else wrote, which is right for what does not change.
std::string plan9_options(bool loose);

}  // namespace vmette::guest
