#pragma once
/// Layers into one image, by way of `vmette-image-worker merge`.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/settings.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

/// One layer to be merged: `descriptor.size` bytes, whose SHA-256 must be `descriptor.digest`. The digest may be empty
/// when the diff_id is not: then that names the layer.
struct LayerInput {
    int fd = -1;  ///< borrowed; read by pread; unset when a LayerSupply has it
    Descriptor descriptor;
    std::string diff_id;  ///< of the layer unpacked; empty: not known, not checked
    /// Where it starts in a file that holds other things too; unset: the file is the layer, and has its size.
    std::optional<std::uint64_t> offset;
};

/// Layers that still come while they are merged.
class LayerSupply {
public:
    virtual ~LayerSupply() = default;
    /// Moves on without waiting: true once all layers are whole.
    virtual Result<bool> step() = 0;
    /// What there is of a layer, read by pread while it grows; valid as long as this. -1: nothing yet.
    virtual Result<int> look(std::size_t index) = 0;
};

/// The image that the layers, lowest first, add up to: whiteouts (".wh.NAME"), opaque folders (".wh..wh..opq"), hard
/// links, attributes, devices. The same layers give the same bytes. Nothing is unpacked on disk. `name` is for
/// messages. Errors: `bad_image` (a length or digest that is wrong, which names the layer by its digest; what
/// tar_reader and tree refuse, which names it by its number from 1), `no_space`, `io`, `cancelled`.
///
/// With a `supply` it waits for the layers as it gets to them. What it reads then has not been checked by who fetches
/// it and may yet be replaced: a `bad_image` may mean only that, and only another try with the whole layers can tell.
Result<StagedImage> merge_layers(const std::string& name, const std::vector<LayerInput>& layers,
                                 Compression compression, const Context& context, LayerSupply* supply = nullptr);

}  // namespace vmette::rootfs::oci
