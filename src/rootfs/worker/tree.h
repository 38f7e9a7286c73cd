#pragma once
/// A filesystem in memory, without file contents: what an archive's entries, or an image's layers, add up to, later
/// ones over earlier ones. Names come from hostile archives: nothing here touches the host's filesystem, and every path
/// stays inside the tree.

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory_resource>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vmette::rootfs {

struct Folder;

constexpr std::uint32_t kNoXattrs = 0xFFFFFFFF;
constexpr std::uint64_t kUnwritten = ~std::uint64_t{0};
/// Of a folder that is only implied by the path of something in it; its owner is root.
constexpr std::uint32_t kImpliedMode = S_IFDIR | 0755;

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
        Folder* folder = nullptr;  ///< of a folder
        const char* target;        ///< of a symbolic link: ends with a zero byte
        const std::byte* data;     ///< of a regular file: its block list, kept by the image writer
    };

    bool is_folder() const { return S_ISDIR(mode); }
    bool is_link() const { return S_ISLNK(mode); }
};

/// A name in a folder. As small as a string_view: there are as many as inodes.
struct Name {
    const char* text = nullptr;  ///< owned by the tree; a zero byte follows
    std::uint16_t length = 0;
    mutable std::uint16_t layer = 0;  ///< the last that had an entry of this name; no part of the order

    std::string_view view() const { return {text, length}; }
    operator std::string_view() const { return view(); }
};

/// Byte order: the order that squashfs wants.
struct ByText {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const { return a < b; }
};

struct Folder {
    explicit Folder(std::pmr::memory_resource* memory) : children(memory) {}

    Inode* self = nullptr;
    Folder* parent = nullptr;  ///< the root is its own parent
    std::uint32_t depth = 0;
    std::uint16_t touched = 0;  ///< the last layer with an entry of this folder or of what is beneath it
    std::uint16_t cleared = 0;  ///< the last layer that left nothing of lower layers here
    std::pmr::map<Name, Inode*, ByText> children;
};

/// How names are read. An archive that reaches outside of itself is refused. A layer's paths are those of a system
/// whose root is the tree's, as container runtimes read them: absolute names and symbolic links start at the root, and
/// ".." in a link's target stops there; names that start with ".wh." hide what lower layers hold.
enum class TreeRules { archive, layers };

class Tree {
public:
    /// At most `max_entries` are taken, folders that are only implied by a path included.
    explicit Tree(std::uint64_t max_entries, TreeRules rules = TreeRules::archive);

    TreeRules rules() const { return rules_; }
    /// What is put from here on belongs to a layer above all that is there. At most 65,535 times.
    void begin_layer() { ++layer_; }
    /// Does what the name of an entry in a layer says, if it is a marker, and returns whether it was one: ".wh.NAME"
    /// hides NAME of lower layers, ".wh..wh..opq" all that lower layers have in its folder; what this layer puts stays,
    /// whichever comes first. Other names with ".wh..wh." are what AUFS kept for itself, and mean nothing. Fails with
    /// `bad_image` for a marker that names no file, and for an entry beneath one.
    Result<bool> take_marker(std::string_view path);

    /// Makes or replaces what stands at `path`; a folder over a folder keeps its children. Type and attributes are
    /// those of `like`. Fails with `bad_image` for a path that is absolute, holds "..", or leaves the tree by a
    /// symbolic link (TreeRules::archive). The messages are predicates ("holds the entry …"): the caller puts the
    /// archive's name in front.
    Result<Inode*> put(std::string_view path, const Inode& like, std::string_view link_target = {});
    /// A second name for what `target` names, which must be in the tree already.
    Result<> link(std::string_view path, std::string_view target);

    Folder& root() { return *root_; }
    std::uint64_t entries() const { return entries_; }

private:
    struct Place {
        Folder* folder;    ///< null: there is none, and none was to be made
        std::string name;  ///< empty: the root itself
    };
    enum class Missing { make, leave };
    Result<Place> find_place(std::string_view entry, std::string_view path, Missing missing = Missing::make);
    Result<Folder*> descend(std::string_view entry, Folder& at, const std::string& name, Missing missing);
    Result<> check_spelling(std::string_view path) const;
    void touch(Folder& folder);
    void hide(const Place& place);
    void hide_lower(Folder& top);
    static void forget_attributes(Inode& folder);
    Result<Folder*> make_folder(Folder& in, const std::string& name);
    Result<> count_entry();
    void unlink(Folder& in, const std::string& name);
    void attach(Folder& in, const std::string& name, Inode& inode);
    Folder* new_folder(Inode& self, Folder* parent);
    /// A copy that lives as long as the tree, with a zero byte after it.
    const char* keep(std::string_view text);

    std::uint64_t max_entries_;
    TreeRules rules_;
    std::uint64_t entries_ = 0;
    std::uint64_t detours_ = 0;  ///< components of links' targets that were walked
    std::uint16_t layer_ = 1;
    /// Names, targets and the nodes of maps; only the end of the tree frees them, and max_entries bounds them.
    std::pmr::monotonic_buffer_resource memory_;
    std::deque<Inode> inodes_;
    std::deque<Folder> folders_;
    Folder* root_ = nullptr;
};

/// How an entry's name is shown in a message: quoted, harmless to a terminal, cut when long.
std::string show_name(std::string_view name);

}  // namespace vmette::rootfs
