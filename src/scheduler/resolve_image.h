#pragma once
/// A source into an image of the cache, by the user's settings: what `up`, `run` and `image pull` have in common.

#include <filesystem>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/layout.h"
#include "manifest/sandbox.h"
#include "rootfs/provider.h"
#include "store/store.h"

namespace vmette::scheduler {

struct ResolveRequest {
    std::string source;
    std::string digest;  ///< "sha256:…" that the image must have, whatever the source names by now; empty: any
    rootfs::PullPolicy pull = rootfs::PullPolicy::missing;
    bool offline = false;
    bool for_run = true;             ///< counts as a use of the image
    std::filesystem::path ca_certs;  ///< beside the system's; empty: none
    std::function<void(const rootfs::Progress&)> progress;
    std::function<void(std::string_view)> notice;  ///< see rootfs::Context
    std::function<bool()> cancelled;
};

/// The image that a sandbox's manifest asks for.
ResolveRequest image_request(const manifest::Sandbox& sandbox, bool offline);

/// Resolves, records the use, and keeps the cache within the bounds of config.toml when something came into it (never
/// taking what a run holds, nor the image itself). A cache that cannot be pruned is logged and not an error. An image
/// that is pinned and in the cache is taken from there without asking its source; `bad_image` when the source has
/// become another one.
Result<rootfs::Resolved> resolve_image(const Layout& layout, store::Store& store, const Clock& clock,
                                       const rootfs::Registry& providers, const ResolveRequest& request);

}  // namespace vmette::scheduler
