#pragma once
/// From an image in the cache to what a provider returns, and to its record.

#include <string>
#include <string_view>

#include "base/error.h"
#include "rootfs/image_cache.h"
#include "rootfs/oci/pull.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

constexpr std::string_view kProviderName = "oci";

/// The name of a lock, fit for a file name.
std::string lock_name(std::string_view kind, std::string_view what);

Resolved make_resolved(const std::string& source, OpenImage image, ImageConfig config);

/// Records that `name` is this image now. `source` is how it was asked for.
Result<Resolved> remember(const std::string& source, OpenImage image, const Documents& documents,
                          const std::string& name, const Context& context);

/// The image of a record, when there is one and its file is whole; else the record is forgotten.
std::optional<Resolved> open_record(const std::string& source, const std::optional<ImageRecord>& record,
                                    const Context& context);

/// The image that was made of these documents' manifest before, if its file is whole.
std::optional<OpenImage> open_same_manifest(const Documents& documents, const Context& context);

}  // namespace vmette::rootfs::oci
