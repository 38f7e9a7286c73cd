#pragma once
/// What a reference names: an image's documents from its registry.

#include <string>

#include "base/error.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/registry_client.h"

namespace vmette::rootfs::oci {

/// What a reference names now, all digests checked by this process.
struct Documents {
    std::string top_digest;       ///< of what the reference names: an index, or the manifest itself
    std::string manifest_digest;  ///< of this platform's manifest
    Manifest manifest;
    ImageDocument image;
};

/// Of the client's reference, for its platform. Errors: those of RegistryClient.
Result<Documents> fetch_documents(RegistryClient& client);

}  // namespace vmette::rootfs::oci
