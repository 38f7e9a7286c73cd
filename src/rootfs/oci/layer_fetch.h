#pragma once
/// An image's layers from its registry into the cache's folder of layers, to be read when they are there or as they
/// come.

#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/merge.h"
#include "rootfs/oci/registry_client.h"

namespace vmette::rootfs::oci {

/// Layers that are in `layout.layers_dir()` already, whole or in part, are not fetched again. Borrows the client.
/// Errors: those of RegistryClient; after one, the same again.
class LayerFetch final : public LayerSupply {
public:
    LayerFetch(RegistryClient& client, std::vector<Descriptor> layers);
    ~LayerFetch() override;
    LayerFetch(const LayerFetch&) = delete;
    LayerFetch& operator=(const LayerFetch&) = delete;

    /// True once every layer is whole: its digest has been checked while it streamed, and must be checked again by who
    /// reads it.
    Result<bool> step() override;
    /// The layer itself, or the part of it that is on its way, of which nothing has been checked yet.
    Result<int> look(std::size_t index) override;
    /// Waits until step() would be true.
    Result<> wait();

private:
    struct Wanted {
        Descriptor descriptor;
        Fd whole;
        Fd part;
    };
    Result<bool> advance();
    Result<> open_whole();
    Result<> ask_for_missing();
    Result<Fd> open_layer(const Descriptor& layer) const;

    RegistryClient& client_;
    std::vector<Wanted> layers_;
    std::vector<Descriptor> asked_;  ///< in the request that is under way; empty: there is none
    bool look_again_ = true;         ///< a layer may have become whole
    int rounds_ = 0;
    std::optional<Error> failed_;
};

/// Removes what was fetched of these layers: once they are merged.
void forget_layers(const Manifest& manifest, const Layout& layout);

}  // namespace vmette::rootfs::oci
