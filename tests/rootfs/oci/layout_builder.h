#pragma once
/// OCI image layouts, right or wrong. Source of the format: the OCI image specification, image-layout.md.

#include <filesystem>
#include <string>
#include <vector>

#include "rootfs/oci/manifest.h"

namespace vmette::rootfs::oci {

/// One image in a folder, as `umoci` and `skopeo` read it.
class LayoutBuilder {
public:
    explicit LayoutBuilder(std::filesystem::path root);

    /// Adds a blob; its digest is its name.
    Descriptor add_blob(const std::string& bytes, const std::string& media_type) const;
    /// Adds a layer above the others: `blob` is what is stored, `tar` what it unpacks to.
    void add_layer(const std::string& blob, const std::string& tar, const std::string& media_type);
    /// Writes config, manifest and an index that calls it `tag`; returns the manifest's descriptor.
    Descriptor finish(const std::string& tag) const;

    std::filesystem::path blob_path(const std::string& digest) const;
    const std::filesystem::path& root() const { return root_; }

    std::vector<Descriptor> layers;
    std::vector<std::string> diff_ids;

private:
    std::filesystem::path root_;
};

}  // namespace vmette::rootfs::oci
