#pragma once
/// Layers into one image, by way of `vmette-image-worker merge`.

#include <string>
#include <vector>

#include "base/error.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/settings.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

/// One layer to be merged. `fd` is borrowed and read once from its start: `descriptor.size` bytes, whose SHA-256 must
/// be `descriptor.digest`.
struct LayerInput {
    int fd = -1;
    Descriptor descriptor;
    std::string diff_id;  ///< of the layer unpacked; empty: not known, not checked
};

/// The image that the layers, lowest first, add up to: whiteouts (".wh.NAME"), opaque folders (".wh..wh..opq"), hard
/// links, attributes, devices. The same layers give the same bytes. Nothing is unpacked on disk. `name` is for
/// messages. Errors: `bad_image` (a digest that is wrong, what tar_reader and tree refuse), `no_space`, `io`,
/// `cancelled`.
Result<StagedImage> merge_layers(const std::string& name, const std::vector<LayerInput>& layers,
                                 Compression compression, const Context& context);

}  // namespace vmette::rootfs::oci
