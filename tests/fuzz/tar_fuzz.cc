/// Archives, compressed or not, through the decompressors and libarchive into the tree. What comes out must be a tree:
/// every name a plain one, every folder beneath its parent, every inode with as many names as it says.

#include <cstdint>
#include <cstdlib>

#include "tests/fuzz/tree_check.h"

namespace {

using namespace vmette;
using namespace vmette::rootfs;

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Tree tree(10'000);
    NoContents contents;
    auto source = decompressed(std::make_unique<MemorySource>(std::as_bytes(std::span(data, size))));
    TarTotals totals;
    if (source) (void)read_tar(*std::move(source), TarLimits{4 << 20}, totals, tree, contents, [](std::uint64_t) {});
    check(tree.root());
    return 0;
}
