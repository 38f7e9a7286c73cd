#pragma once
/// A file from the network, into the cache's folder of downloads. The parent's side of worker/fetch.h.

#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "rootfs/provider.h"
#include "rootfs/source.h"

namespace vmette::rootfs {

struct Downloaded {
    Fd fd;                  ///< the whole file, for reading, at its start
    std::string validator;  ///< of this version, "etag:…" or "modified:…"; empty when the server names none
};

/// Fetches `source`, whose lock the caller holds. Goes on where an earlier try broke off. With a `validator`, nothing
/// is returned when the server still has that version.
Result<std::optional<Downloaded>> download(const UrlSource& source, const std::string& validator,
                                           const Context& context);

/// Removes what download() left for a later try; once it has served its purpose, or was worth nothing.
void forget_download(const UrlSource& source, const Layout& layout);

}  // namespace vmette::rootfs
