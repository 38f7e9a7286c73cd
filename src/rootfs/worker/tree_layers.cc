/// What the markers of a layer do to the tree. Source: the OCI image specification's image-layer filesystem changeset.

#include <algorithm>
#include <vector>

#include "rootfs/worker/tree.h"

namespace vmette::rootfs {
namespace {

constexpr std::string_view kMarker = ".wh.";
constexpr std::string_view kReserved = ".wh..wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

/// The first component of `path` that starts like a marker, with what stands before and behind it.
struct Marker {
    std::string_view folder;
    std::string_view text;  ///< empty: there is none
    bool last = true;
};

Marker find_marker(std::string_view path) {
    for (std::size_t start = 0; start < path.size();) {
        std::size_t end = std::min(path.find('/', start), path.size());
        std::string_view part = path.substr(start, end - start);
        if (part.starts_with(kMarker))
            return {path.substr(0, start), part, path.find_first_not_of('/', end) == path.npos};
        start = end + 1;
    }
    return {};
}

}  // namespace

Result<bool> Tree::take_marker(std::string_view path) {
    if (rules_ == TreeRules::archive) return false;
    Marker marker = find_marker(path);
    if (marker.text.empty()) return false;
    VMETTE_CHECK_OK(count_entry());
    VMETTE_CHECK_OK(check_spelling(path));
    bool opaque = marker.last && marker.text == kOpaque;
    if (!opaque && marker.text.starts_with(kReserved)) return true;
    std::string_view name = marker.text.substr(kMarker.size());
    if (name.empty() || name == "." || name == "..")
        return fail(ErrorCode::bad_image, "holds the whiteout {}, which names no file", show_name(path));
    if (!marker.last) return fail(ErrorCode::bad_image, "holds the entry {} beneath a whiteout", show_name(path));
    VMETTE_TRY(Place place, find_place(path, std::string(marker.folder) + std::string(name), Missing::leave));
    if (place.folder == nullptr) return true;
    if (opaque) {
        hide_lower(*place.folder);
    } else {
        hide(place);
    }
    return true;
}

/// Takes away what lower layers have at a place.
void Tree::hide(const Place& place) {
    auto found = place.folder->children.find(place.name);
    if (found == place.folder->children.end()) return;
    auto& [name, inode] = *found;
    if (inode->is_folder() && inode->folder->touched == layer_) {
        if (name.layer != layer_) forget_attributes(*inode);
        hide_lower(*inode->folder);
    } else if (name.layer != layer_) {
        unlink(*place.folder, place.name);
    }
}

/// A lower layer's folder that this layer only passed through is, once hidden, one that is only implied.
void Tree::forget_attributes(Inode& folder) {
    folder.mode = kImpliedMode;
    folder.uid = folder.gid = folder.mtime = 0;
    folder.xattrs = kNoXattrs;
}

/// Takes away what lower layers put beneath `top`. Each folder is gone through once a layer: after that, all that is in
/// it is this layer's, and markers without number cost no more than one.
void Tree::hide_lower(Folder& top) {
    std::vector<Folder*> pending{&top};
    while (!pending.empty()) {
        Folder& at = *pending.back();
        pending.pop_back();
        if (at.cleared == layer_) continue;
        at.cleared = layer_;
        for (auto child = at.children.begin(); child != at.children.end();) {
            auto& [name, inode] = *child++;
            if (inode->is_folder() && inode->folder->touched == layer_) {
                if (name.layer != layer_) forget_attributes(*inode);
                pending.push_back(inode->folder);
            } else if (name.layer != layer_) {
                unlink(at, std::string(name.view()));
            }
        }
    }
}

}  // namespace vmette::rootfs
