/// Archives, compressed or not, through the decompressors and libarchive into the tree. What comes out must be a tree:
/// every name a plain one, every folder beneath its parent, every inode with as many names as it says.

#include <cstdint>
#include <cstdlib>
#include <map>

#include "rootfs/worker/tar_reader.h"

namespace {

using namespace vmette;
using namespace vmette::rootfs;

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

class NoContents final : public ContentSink {
public:
    Result<> begin_file(Inode&) override {
        if (open_) std::abort();
        open_ = true;
        return {};
    }
    Result<> append(std::span<const std::byte>) override {
        if (!open_) std::abort();
        return {};
    }
    Result<> end_file() override {
        open_ = false;
        return {};
    }
    Result<std::uint32_t> add_xattrs(const std::vector<Xattr>&) override { return 0; }

private:
    bool open_ = false;
};

void check(Folder& root) {
    std::map<const Inode*, std::uint32_t> names;
    std::vector<Folder*> pending{&root};
    while (!pending.empty()) {
        Folder& folder = *pending.back();
        pending.pop_back();
        std::uint32_t subfolders = 0;
        for (auto& [name, inode] : folder.children) {
            if (name.empty() || name == "." || name == ".." || name.size() > 255 || name.find('/') != name.npos)
                std::abort();
            if (inode->is_link() && inode->target == nullptr) std::abort();
            ++names[inode];
            if (!inode->is_folder()) continue;
            if (inode->folder->parent != &folder || names[inode] != 1) std::abort();
            ++subfolders;
            pending.push_back(inode->folder);
        }
        if (folder.self->links != subfolders + 2) std::abort();
    }
    for (auto& [inode, count] : names)
        if (!inode->is_folder() && inode->links != count) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Tree tree(10'000);
    NoContents contents;
    auto source = decompressed(std::make_unique<MemorySource>(std::as_bytes(std::span(data, size))));
    if (source) (void)read_tar(*std::move(source), TarLimits{4 << 20}, tree, contents, [](std::uint64_t) {});
    check(tree.root());
    return 0;
}
