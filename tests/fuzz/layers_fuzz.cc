/// Several layers, compressed or not, over one another; split() says how they lie in the input. What comes out must be
/// a tree, and no limit may be passed.

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "tests/fuzz/tree_check.h"

namespace {

using namespace vmette;
using namespace vmette::rootfs;

constexpr std::uint64_t kMaxUnpacked = 4 << 20;
constexpr std::uint64_t kMaxEntries = 10'000;
constexpr std::size_t kMaxLayers = 8;

class CountedContents final : public ContentSink {
public:
    Result<> begin_file(Inode& file) override {
        if (open_ || file.links == 0) std::abort();
        open_ = true;
        return {};
    }
    Result<> append(std::span<const std::byte> data) override {
        bytes_ += data.size();
        if (!open_ || bytes_ > kMaxUnpacked) std::abort();
        return {};
    }
    Result<> end_file() override {
        open_ = false;
        return {};
    }
    Result<std::uint32_t> add_xattrs(const std::vector<Xattr>&) override { return 0; }

private:
    bool open_ = false;
    std::uint64_t bytes_ = 0;
};

/// The next layer: two bytes of length (low first, in blocks of 64 bytes), then so many bytes or all that are left.
std::span<const std::byte> split(std::span<const std::byte>& input) {
    if (input.size() < 2) return std::exchange(input, {});
    std::size_t length = (std::to_integer<std::size_t>(input[0]) | std::to_integer<std::size_t>(input[1]) << 8) * 64;
    input = input.subspan(2);
    auto layer = input.first(std::min(length, input.size()));
    input = input.subspan(layer.size());
    return layer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Tree tree(kMaxEntries, TreeRules::layers);
    CountedContents contents;
    TarTotals totals;
    auto input = std::as_bytes(std::span(data, size));
    for (std::size_t count = 0; count < kMaxLayers && !input.empty(); ++count) {
        auto diff_id = read_layer(std::make_unique<MemorySource>(split(input)), TarLimits{kMaxUnpacked}, totals, tree,
                                  contents, [](std::uint64_t) {});
        check(tree.root());
        if (tree.entries() > kMaxEntries + 1) std::abort();
        if (!diff_id) break;
        if (diff_id->size() != 64) std::abort();
    }
    return 0;
}
