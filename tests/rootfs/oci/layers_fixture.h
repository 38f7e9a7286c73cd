#pragma once
/// Layers as files, merged into images that are listed.

#include <fcntl.h>

#include "base/digest.h"
#include "rootfs/fixture.h"
#include "rootfs/image_tree.h"
#include "rootfs/oci/merge.h"
#include "rootfs/tar_builder.h"

namespace vmette::rootfs::oci {

class LayersFixture : public RootfsTest {
protected:
    /// A layer of these bytes, above those that are there. `tar` is what they unpack to.
    LayerInput& add(const std::string& blob, const std::string& tar) {
        auto path = write(fmt::format("layer-{}", files_.size()), blob);
        files_.push_back(*open_file(path, O_RDONLY));
        return layers_.emplace_back(
            LayerInput{.fd = files_.back().get(),
                       .descriptor = {.media_type = {}, .digest = "sha256:" + sha256_hex(blob), .size = blob.size()},
                       .diff_id = "sha256:" + sha256_hex(tar),
                       .offset = {}});
    }
    LayerInput& add(const std::string& tar) { return add(tar, tar); }
    LayerInput& add(const std::vector<TarEntry>& entries) { return add(make_tar(entries)); }
    std::string compress(std::vector<std::string> program, const std::string& tar) const {
        program.push_back(write("plain.tar", tar).string());
        return run_program(program);
    }
    void forget() {
        layers_.clear();
        files_.clear();
    }

    Result<StagedImage> merge(Compression compression = Compression::zstd) {
        Context all{.layout = layout, .index = index, .limits = limits, .progress = progress, .cancelled = cancelled};
        return merge_layers("image", layers_, compression, all);
    }
    /// The image's file.
    std::filesystem::path image() {
        auto merged = merge();
        if (!merged) {
            ADD_FAILURE() << merged.error().text();
            return {};
        }
        auto published = std::move(*merged).publish(layout);
        return published ? published->path : std::filesystem::path();
    }
    TreeListing listing() { return list_image(image(), dir); }
    std::string names() {
        std::string out;
        for (const auto& [name, what] : listing())
            if (name != ".") out += name + " ";
        return out;
    }
    /// "code: message" of layers that must be refused; also checks that nothing is left behind.
    std::string refuse() {
        auto merged = merge();
        EXPECT_FALSE(merged);
        std::string text = merged ? "" : fmt::format("{}: {}", to_string(merged.error().code), merged.error().text());
        EXPECT_TRUE(image_files().empty());
        forget();
        return text;
    }

    Limits limits;
    std::function<void(const Progress&)> progress;
    std::function<bool()> cancelled;
    std::vector<LayerInput> layers_;
    std::vector<Fd> files_;
};

}  // namespace vmette::rootfs::oci
