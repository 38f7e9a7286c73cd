#pragma once
/// Layers into the folder of layers: several at a time, each going on where it broke off.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "rootfs/worker/registry_get.h"

namespace vmette::rootfs {

struct WantedLayer {
    std::string hex;  ///< SHA-256, 64 lower-case digits
    std::uint64_t size = 0;
};

/// Which of them (its place in the list), bytes so far.
using LayerProgress = std::function<void(std::size_t, std::uint64_t)>;

/// Fetches each that is not there; at most six at a time. One that another process fetches is waited for, while the
/// rest goes on. The list holds no digest twice. The first error ends all; what has come stays for a later try. Errors:
/// `bad_image` (wrong digest, wrong length), those of RegistryGet, `io`, `no_space`.
Result<> download_layers(RegistrySession& session, int folder, const std::vector<WantedLayer>& layers,
                         const LayerProgress& progress);

}  // namespace vmette::rootfs
