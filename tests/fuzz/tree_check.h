#pragma once
/// What the fuzz targets of archives and of layers share.

#include <cstdint>
#include <cstdlib>
#include <map>

#include "rootfs/worker/tar_reader.h"

namespace vmette::rootfs {

/// The input as a stream of small pieces.
class MemorySource final : public ByteSource {
public:
    explicit MemorySource(std::span<const std::byte> data) : data_(data) {}
    Result<std::span<const std::byte>> next() override {
        // No piece is a whole block, so that every join is met.
        auto piece = data_.first(std::min<std::size_t>(data_.size(), 777));
        data_ = data_.subspan(piece.size());
        return piece;
    }

private:
    std::span<const std::byte> data_;
};

/// Every name a plain one, every folder beneath its parent, every inode with as many names as it says.
inline void check(Folder& root) {
    std::map<const Inode*, std::uint32_t> names;
    std::vector<Folder*> pending{&root};
    while (!pending.empty()) {
        Folder& folder = *pending.back();
        pending.pop_back();
        std::uint32_t subfolders = 0;
        for (auto& [key, inode] : folder.children) {
            std::string_view name = key;
            if (name.empty() || name == "." || name == ".." || name.size() > 255 || name.find('/') != name.npos)
                std::abort();
            if (inode->is_link() && inode->target == nullptr) std::abort();
            ++names[inode];
            if (!inode->is_folder()) continue;
            if (inode->folder->parent != &folder || names[inode] != 1) std::abort();
            // A layer that touched something touched all that is above it.
            if (inode->folder->touched > folder.touched) std::abort();
            ++subfolders;
            pending.push_back(inode->folder);
        }
        if (folder.self->links != subfolders + 2) std::abort();
    }
    for (auto& [inode, count] : names)
        if (!inode->is_folder() && inode->links != count) std::abort();
}

}  // namespace vmette::rootfs
