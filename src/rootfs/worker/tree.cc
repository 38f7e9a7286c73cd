#include "rootfs/worker/tree.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace vmette::rootfs {
namespace {

// Linux' NAME_MAX and PATH_MAX, and its limit of symbolic links in one path.
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxPath = 4096;
constexpr int kMaxLinks = 40;
/// Steps that symbolic links may add to the ways of all entries together: real archives need about one an entry.
constexpr std::uint64_t kFreeDetours = 1'000'000;
constexpr std::uint64_t kDetoursPerEntry = 16;
/// A path of kMaxPath bytes can be this deep; symbolic links must not take anybody deeper.
constexpr std::uint32_t kMaxDepth = kMaxPath / 2;

/// The components of a path from right to left, "." and empty ones left out: a stack of what is still to be walked.
Result<std::vector<std::string>> components(std::string_view entry, std::string_view path) {
    std::vector<std::string> parts;
    std::size_t end = path.size();
    while (end > 0) {
        std::size_t slash = path.rfind('/', end - 1);
        std::size_t start = slash == path.npos ? 0 : slash + 1;
        std::string_view part = path.substr(start, end - start);
        if (part.size() > kMaxName)
            return fail(ErrorCode::bad_image, "holds the entry {}, whose name is longer than {} bytes",
                        show_name(entry), kMaxName);
        if (!part.empty() && part != ".") parts.emplace_back(part);
        end = start == 0 ? 0 : start - 1;
    }
    return parts;
}

Failure leaves(std::string_view entry, std::string_view link, std::string_view target) {
    return fail(ErrorCode::bad_image, "holds the entry {} beneath the symbolic link {} to {}, which leads out of it",
                show_name(entry), show_name(link), show_name(target));
}

}  // namespace

std::string show_name(std::string_view name) { return fmt::format("\"{}\"", harmless_line(name, 200)); }

Tree::Tree(std::uint64_t max_entries, TreeRules rules) : max_entries_(max_entries), rules_(rules) {
    Inode& inode = inodes_.emplace_back();
    inode.mode = kImpliedMode;
    inode.links = 2;
    root_ = new_folder(inode, nullptr);
}

Folder* Tree::new_folder(Inode& self, Folder* parent) {
    Folder& folder = folders_.emplace_back(&memory_);
    folder.self = &self;
    folder.parent = parent != nullptr ? parent : &folder;
    folder.depth = parent != nullptr ? parent->depth + 1 : 0;
    folder.touched = layer_;
    folder.cleared = layer_;
    self.folder = &folder;
    return &folder;
}

const char* Tree::keep(std::string_view text) {
    auto* copy = static_cast<char*>(memory_.allocate(text.size() + 1, 1));
    std::copy(text.begin(), text.end(), copy);
    copy[text.size()] = 0;
    return copy;
}

Result<> Tree::count_entry() {
    if (++entries_ > max_entries_) return fail(ErrorCode::bad_image, "holds more than {} entries", max_entries_);
    return {};
}

Result<Folder*> Tree::make_folder(Folder& in, const std::string& name) {
    VMETTE_CHECK_OK(count_entry());
    Inode& inode = inodes_.emplace_back();
    inode.mode = kImpliedMode;
    touch(in);
    attach(in, name, inode);
    return new_folder(inode, &in);
}

/// One step down by a name that is no symbolic link; null when nothing is there and nothing is to be made.
Result<Folder*> Tree::descend(std::string_view entry, Folder& at, const std::string& name, Missing missing) {
    if (at.depth >= kMaxDepth)
        return fail(ErrorCode::bad_image, "holds the entry {}, which lies deeper than {} folders", show_name(entry),
                    kMaxDepth);
    auto child = at.children.find(name);
    bool there = child != at.children.end();
    if (missing == Missing::leave && (!there || !child->second->is_folder())) return nullptr;
    if (!there) return make_folder(at, name);
    if (!child->second->is_folder())
        return fail(ErrorCode::bad_image, "holds the entry {}, but {} in its path is not a folder", show_name(entry),
                    show_name(name));
    return child->second->folder;
}

/// Walks all but the last component, through symbolic links as far as they stay inside.
Result<Tree::Place> Tree::find_place(std::string_view entry, std::string_view path, Missing missing) {
    if (path.size() > kMaxPath)
        return fail(ErrorCode::bad_image, "holds the entry {}, whose path is longer than {} bytes", show_name(entry),
                    kMaxPath);
    VMETTE_TRY(auto pending, components(entry, path));
    Folder* at = root_;
    if (pending.empty()) return Place{at, {}};
    std::string last = std::move(pending.front());
    pending.erase(pending.begin());
    std::string link_name, link_target;
    int links = 0;
    while (!pending.empty()) {
        std::string name = std::move(pending.back());
        pending.pop_back();
        if (name == "..") {
            if (at == root_ && rules_ == TreeRules::archive) return leaves(entry, link_name, link_target);
            at = at->parent;
            continue;
        }
        auto child = at->children.find(name);
        if (child == at->children.end() || !child->second->is_link()) {
            VMETTE_TRY(at, descend(entry, *at, name, missing));
            if (at == nullptr) return Place{nullptr, {}};
            continue;
        }
        link_name = name;
        link_target = child->second->target;
        if (++links > kMaxLinks)
            return fail(ErrorCode::bad_image, "holds the entry {}, whose path goes through too many symbolic links",
                        show_name(entry));
        if (link_target.starts_with('/')) {
            if (rules_ == TreeRules::archive) return leaves(entry, link_name, link_target);
            at = root_;
        }
        VMETTE_TRY(auto more, components(entry, link_target));
        // A link's target may be long, each path may go through many, and there may be millions of paths.
        detours_ += more.size();
        if (detours_ > kFreeDetours + kDetoursPerEntry * entries_)
            return fail(ErrorCode::bad_image, "leads its entries through too many symbolic links (up to {})",
                        show_name(entry));
        pending.insert(pending.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    }
    return Place{at, std::move(last)};
}

void Tree::attach(Folder& in, const std::string& name, Inode& inode) {
    in.children.emplace(Name{keep(name), static_cast<std::uint16_t>(name.size()), layer_}, &inode);
    if (inode.is_folder()) {
        inode.links = 2;
        ++in.self->links;
    } else {
        ++inode.links;
    }
}

/// Takes a name away with all that lies beneath it. Inodes stay in memory: the image writer may still hold on to the
/// block lists of files whose contents it has not finished. A loop and not a recursion: the depth is the archive's.
void Tree::unlink(Folder& in, const std::string& name) {
    auto found = in.children.find(name);
    if (found == in.children.end()) return;
    std::vector<Inode*> gone{found->second};
    if (found->second->is_folder()) --in.self->links;
    in.children.erase(found);
    while (!gone.empty()) {
        Inode* inode = gone.back();
        gone.pop_back();
        if (inode->links > 0) --inode->links;
        if (!inode->is_folder()) continue;
        for (auto& [child_name, child] : inode->folder->children) gone.push_back(child);
        inode->folder->children.clear();
    }
}

/// That this layer has been here: in a folder's parents as well.
void Tree::touch(Folder& folder) {
    for (Folder* at = &folder; at->touched != layer_; at = at->parent) at->touched = layer_;
}

Result<> Tree::check_spelling(std::string_view path) const {
    if (path.starts_with('/') && rules_ == TreeRules::archive)
        return fail(ErrorCode::bad_image, "holds the entry {}, whose name is absolute", show_name(path));
    for (std::size_t start = 0; start <= path.size();) {
        std::size_t end = std::min(path.find('/', start), path.size());
        if (path.substr(start, end - start) == "..")
            return fail(ErrorCode::bad_image, "holds the entry {}, whose name has \"..\" in it", show_name(path));
        start = end + 1;
    }
    return {};
}

Result<Inode*> Tree::put(std::string_view path, const Inode& like, std::string_view link_target) {
    VMETTE_CHECK_OK(count_entry());
    VMETTE_CHECK_OK(check_spelling(path));
    VMETTE_TRY(Place place, find_place(path, path));
    if (like.is_link() && (link_target.empty() || link_target.size() >= kMaxPath))
        return fail(ErrorCode::bad_image, "holds the symbolic link {} with a target of {} bytes", show_name(path),
                    link_target.size());
    touch(*place.folder);
    Inode* old = place.folder->self;
    auto found = place.folder->children.find(place.name);
    if (!place.name.empty()) {
        old = found != place.folder->children.end() ? found->second : nullptr;
    } else if (!like.is_folder()) {
        return fail(ErrorCode::bad_image, "holds the entry {}, which is to be its root but is not a folder",
                    show_name(path));
    }
    if (old != nullptr && old->is_folder() && like.is_folder()) {
        old->mode = like.mode;
        old->uid = like.uid;
        old->gid = like.gid;
        old->mtime = like.mtime;
        old->xattrs = like.xattrs;
        if (!place.name.empty()) found->first.layer = layer_;
        touch(*old->folder);
        return old;
    }
    if (place.folder->depth >= kMaxDepth)
        return fail(ErrorCode::bad_image, "holds the entry {}, which lies deeper than {} folders", show_name(path),
                    kMaxDepth);
    unlink(*place.folder, place.name);
    Inode& inode = inodes_.emplace_back(like);
    inode.links = 0;
    if (like.is_link()) inode.target = keep(link_target);
    attach(*place.folder, place.name, inode);
    if (like.is_folder()) new_folder(inode, place.folder);
    return &inode;
}

Result<> Tree::link(std::string_view path, std::string_view target) {
    VMETTE_CHECK_OK(count_entry());
    VMETTE_CHECK_OK(check_spelling(path));
    if (!check_spelling(target))
        return fail(ErrorCode::bad_image, "holds the hard link {} to {}, which lies outside of it", show_name(path),
                    show_name(target));
    VMETTE_TRY(Place from, find_place(path, target));
    auto found = from.folder->children.find(from.name);
    if (from.name.empty() || (found != from.folder->children.end() && found->second->is_folder()))
        return fail(ErrorCode::bad_image, "holds the hard link {} to {}, which is a folder", show_name(path),
                    show_name(target));
    if (found == from.folder->children.end())
        return fail(ErrorCode::bad_image, "holds the hard link {} to {}, which does not come before it",
                    show_name(path), show_name(target));
    Inode* inode = found->second;
    VMETTE_TRY(Place place, find_place(path, path));
    if (place.name.empty())
        return fail(ErrorCode::bad_image, "holds the entry {}, which is to be its root but is not a folder",
                    show_name(path));
    touch(*place.folder);
    auto there = place.folder->children.find(place.name);
    if (there != place.folder->children.end() && there->second == inode) {
        there->first.layer = layer_;
        return {};
    }
    unlink(*place.folder, place.name);
    // The target may have been beneath what the link replaced: then it has no name left and the link is its first.
    attach(*place.folder, place.name, *inode);
    return {};
}

}  // namespace vmette::rootfs
