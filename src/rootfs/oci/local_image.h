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

/// Opens the image of an "oci-layout:", "oci-archive:" or "docker-archive:" source for this platform. All documents'
/// digests are checked; those of the layers are checked by merge_layers(). Nothing outside of the folder or archive is
/// opened. The contents of an archive that is compressed or has sparse members are first copied into a file without a
/// name in the cache. Of an archive with both documents, "docker-archive:" reads manifest.json and "oci-archive:"
/// index.json. Errors: `not_found` (no such file, or no such image in it: the message names those that are there),
/// `bad_input` (several, and it was not said which), `bad_image`, `io`, `no_space`, `cancelled`.
Result<LocalImage> open_local_image(const LocalSource& source, const Platform& platform, const Context& context);

/// The only image in an archive as the daemon sends it; `name` is for messages.
Result<LocalImage> open_saved_image(Fd archive, const std::string& name, const Platform& platform,
                                    const Context& context);

}  // namespace vmette::rootfs::oci
