#pragma once
/// Images that lie on this machine: OCI layouts and archives of `docker save`. Both may come from strangers.

#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "rootfs/oci/local_source.h"
#include "rootfs/oci/merge.h"
#include "rootfs/oci/pull.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

/// Documents and layers, as of a registry; `layers` borrow from `files`. An archive without a manifest of its own has
/// the digest of its config as top_digest and manifest_digest, and layers that are known by their diff_id alone.
struct LocalImage {
    Documents documents;
    std::vector<LayerInput> layers;
    std::vector<Fd> files;
};

/// Opens the image of an "oci-layout:" or "docker-archive:" source for this platform. All documents' digests are
/// checked; those of the layers are checked by merge_layers(). Nothing outside of the folder or archive is opened. A
/// compressed archive is first decompressed into a file without a name in the cache. Errors: `not_found` (no such file,
/// or no such image in it: the message names those that are there), `bad_image`, `io`, `no_space`, `cancelled`;
/// `unsupported` for the daemon.
Result<LocalImage> open_local_image(const LocalSource& source, const Platform& platform, const Context& context);

}  // namespace vmette::rootfs::oci
