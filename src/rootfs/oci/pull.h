#pragma once
/// An image's documents and layers from its registry. The parent's side of `vmette-image-worker pull`, which speaks
/// HTTP.

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "rootfs/oci/credentials.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/reference.h"
#include "rootfs/oci/settings.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

struct PullRequest {
    Reference reference;
    Platform platform;
    Credentials credentials;
    RegistrySettings registry;
};

/// What a reference names now, all digests checked by this process.
struct Documents {
    std::string top_digest;       ///< of what the reference names: an index, or the manifest itself
    std::string manifest_digest;  ///< of this platform's manifest
    Manifest manifest;
    ImageDocument image;
};

/// A layer as it came, compressed; its digest has been checked while it streamed, and must be checked again by who
/// reads it.
struct Layer {
    Fd fd;  ///< open for reading, at its start
    Descriptor descriptor;
};

/// Asks for the documents, then for `wanted(documents)`: false ends the pull there, with no layers (the image is in the
/// cache). Layers that are in `layout.layers_dir()` already, whole or in part, are not fetched again. Errors: `network`
/// ("REFERENCE: …" with the registry's status), `not_found` (no such repository or tag, or no right to see it),
/// `bad_image`, `io`, `no_space`, `cancelled`.
struct Pulled {
    Documents documents;
    std::vector<Layer> layers;
};
Result<Pulled> pull(const PullRequest& request, const Context& context,
                    const std::function<bool(const Documents&)>& wanted);

/// Removes what pull() left of these layers: once they are merged.
void forget_layers(const Manifest& manifest, const Layout& layout);

}  // namespace vmette::rootfs::oci
