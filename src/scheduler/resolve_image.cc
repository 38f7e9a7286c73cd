#include "scheduler/resolve_image.h"

#include <algorithm>
#include <optional>

#include "base/log.h"
#include "base/units.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/manifest.h"
#include "rootfs/oci/reference.h"
#include "scheduler/image_care.h"
#include "scheduler/image_index.h"

namespace vmette::scheduler {
namespace {

void keep_in_bounds(const Layout& layout, store::Store& store, const Clock& clock,
                    const rootfs::oci::ImageSettings& settings) {
    PrunePolicy policy;
    if (settings.cache_size > 0) policy.max_bytes = settings.cache_size;
    if (settings.cache_age.count() > 0) policy.max_age = settings.cache_age;
    if (!policy.max_bytes && !policy.max_age) return;
    auto pruned = prune_images(layout, store, clock, policy, false);
    if (!pruned)
        log(LogLevel::warn, "the image cache cannot be pruned: {}", pruned.error().text());
    else if (!pruned->removed.empty())
        log(LogLevel::info, "{} images pruned, {}", pruned->removed.size(), human_size(pruned->bytes));
}

rootfs::PullPolicy pull_policy(manifest::Pull pull) {
    switch (pull) {
        case manifest::Pull::missing:
            return rootfs::PullPolicy::missing;
        case manifest::Pull::always:
            return rootfs::PullPolicy::always;
        case manifest::Pull::never:
            return rootfs::PullPolicy::never;
    }
    return rootfs::PullPolicy::missing;
}

/// The pinned image out of the cache, as the source named it when that made it, else as any other did.
std::optional<rootfs::Resolved> pinned_image(const Layout& layout, store::Store& store, const ResolveRequest& request) {
    auto rows = store.image_sources(request.digest);
    if (!rows || rows->empty()) return std::nullopt;
    // References are known by their whole spelling; two of one image may run it in different ways.
    auto reference = rootfs::oci::parse_reference(request.source);
    std::string name = reference ? reference->text() : request.source;
    auto own = std::ranges::find_if(
        *rows, [&](const store::StoredImage& row) { return row.source == request.source || row.source == name; });
    const store::StoredImage& row = own != rows->end() ? *own : rows->front();
    auto image = rootfs::open_image(layout, row.digest, row.bytes);
    if (!image) return std::nullopt;
    rootfs::Resolved root;
    if (!row.config.empty()) {
        auto config = rootfs::oci::decode_image_config(row.config);
        if (!config) return std::nullopt;
        root.config = *std::move(config);
    }
    root.path = std::move(image->path);
    root.image = std::move(image->fd);
    root.digest = std::move(image->digest);
    root.bytes = image->bytes;
    root.provider = row.provider;
    root.source = request.source;
    return root;
}

Result<rootfs::Resolved> resolve_by_source(const rootfs::Registry& providers, const ResolveRequest& request,
                                           const rootfs::Context& context) {
    VMETTE_TRY(auto root, providers.resolve(request.source, context));
    if (request.digest.empty() || root.digest == request.digest) return root;
    return fail(ErrorCode::bad_image, "{} is {} by now; {}, which is wanted, is no longer in the cache", request.source,
                root.digest.empty() ? "a folder" : root.digest, request.digest);
}

}  // namespace

ResolveRequest image_request(const manifest::Sandbox& sandbox, bool offline) {
    ResolveRequest request;
    request.source = sandbox.rootfs.source;
    request.pull = pull_policy(sandbox.rootfs.pull);
    request.offline = offline;
    request.ca_certs = sandbox.vm.ca_certs;
    return request;
}

Result<rootfs::Resolved> resolve_image(const Layout& layout, store::Store& store, const Clock& clock,
                                       const rootfs::Registry& providers, const ResolveRequest& request) {
    VMETTE_TRY(auto settings, rootfs::oci::load_image_settings(layout.config_file()));
    StoredImageIndex index(store, clock);
    rootfs::Limits limits;
    limits.max_download = settings.max_download;
    limits.max_unpacked = settings.max_unpacked;
    limits.max_entries = settings.max_entries;
    rootfs::Context context{.layout = layout,
                            .index = index,
                            .pull = request.pull,
                            .offline = request.offline,
                            .limits = limits,
                            .settings = settings,
                            .now = clock.now(),
                            .ca_certs = request.ca_certs,
                            .progress = request.progress,
                            .notice = request.notice,
                            .cancelled = request.cancelled};
    auto pinned = request.digest.empty() ? std::nullopt : pinned_image(layout, store, request);
    rootfs::Resolved root;
    if (pinned) {
        root = *std::move(pinned);
    } else {
        VMETTE_TRY(root, resolve_by_source(providers, request, context));
    }
    if (!root.digest.empty())
        if (auto counted = store.touch_image(root.digest, request.for_run ? 1 : 0); !counted)
            log(LogLevel::info, "the image's use is not counted: {}", counted.error().text());
    if (index.has_added()) keep_in_bounds(layout, store, clock, settings);
    return root;
}

}  // namespace vmette::scheduler
