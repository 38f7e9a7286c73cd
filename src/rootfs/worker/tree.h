#pragma once
/// A filesystem in memory, without file contents: what an archive's entries add up to, later ones over earlier ones.
/// Names come from hostile archives: nothing here touches the host's filesystem, and every path stays inside the tree.

#include <sys/stat.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory_resource>
#include <string>
#include <string_view>

#include "base/error.h"

struct sqfs_inode_generic_t;

namespace vmette::rootfs {

struct Folder;

constexpr std::uint32_t kNoXattrs = 0xFFFFFFFF;
constexpr std::uint64_t kUnwritten = ~std::uint64_t{0};

/// One file, folder, link, device, … ; several names may lead to one (hard links). Owned by the tree.
struct Inode {
    std::uint32_t mode = 0;  ///< type and permission bits, as of stat(2)
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t mtime = 0;           ///< seconds since the epoch
    std::uint32_t xattrs = kNoXattrs;  ///< the set's number in the image
    std::uint32_t device = 0;          ///< of a device node, in the kernel's 32-bit encoding
    std::uint32_t links = 0;           ///< names that lead here; folders: names and "." and ".." of subfolders
    std::uint32_t number = 0;          ///< in the image; 0: not numbered yet
    std::uint64_t place = kUnwritten;  ///< of the written inode in the image's inode table
    /// Which one is told by the mode. There may be millions of inodes: their size is the memory of a conversion.
    union {
        Folder* folder = nullptr;     ///< of a folder
        const char* target;           ///< of a symbolic link: ends with a zero byte
        sqfs_inode_generic_t** data;  ///< of a regular file: where the image writer keeps its block list
    };

    bool is_folder() const { return S_ISDIR(mode); }
    bool is_link() const { return S_ISLNK(mode); }
};

struct Folder {
    explicit Folder(std::pmr::memory_resource* memory) : children(memory) {}

    Inode* self = nullptr;
    Folder* parent = nullptr;  ///< the root is its own parent
    std::uint32_t depth = 0;
    /// By name, in byte order: the order that squashfs wants.
    std::pmr::map<std::string_view, Inode*> children;
};

class Tree {
public:
    /// At most `max_entries` are taken, folders that are only implied by a path included.
    explicit Tree(std::uint64_t max_entries);

    /// Makes or replaces what stands at `path`; a folder over a folder keeps its children. Type and attributes are
    /// those of `like`. Fails with `bad_image` for a path that is absolute, holds "..", or leaves the tree by a
    /// symbolic link. The messages are predicates ("holds the entry …"): the caller puts the archive's name in front.
    Result<Inode*> put(std::string_view path, const Inode& like, std::string_view link_target = {});
    /// A second name for what `target` names, which must be in the tree already.
    Result<> link(std::string_view path, std::string_view target);

    Folder& root() { return *root_; }
    std::uint64_t entries() const { return entries_; }

private:
    struct Place {
        Folder* folder;
        std::string name;  ///< empty: the root itself
    };
    Result<Place> find_place(std::string_view entry, std::string_view path);
    Result<Folder*> descend(std::string_view entry, Folder& at, const std::string& name);
    Result<Folder*> make_folder(Folder& in, const std::string& name);
    Result<> count_entry();
    void unlink(Folder& in, const std::string& name);
    void attach(Folder& in, const std::string& name, Inode& inode);
    Folder* new_folder(Inode& self, Folder* parent);
    /// A copy that lives as long as the tree, with a zero byte after it.
    std::string_view keep(std::string_view text);

    std::uint64_t max_entries_;
    std::uint64_t entries_ = 0;
    /// Names, targets and the nodes of maps; only the end of the tree frees them, and max_entries bounds them.
    std::pmr::monotonic_buffer_resource memory_;
    std::deque<Inode> inodes_;
    std::deque<Folder> folders_;
    Folder* root_ = nullptr;
};

/// How an entry's name is shown in a message: quoted, harmless to a terminal, cut when long.
std::string show_name(std::string_view name);

}  // namespace vmette::rootfs
