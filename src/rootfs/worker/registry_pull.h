#pragma once
/// The worker's side of oci/pull_protocol.h.

#include "base/error.h"
#include "rootfs/report.h"

namespace vmette::rootfs {

/// Answers requests from kWorkerInput until its end. An error ends it too. Errors: those of RegistryGet and
/// download_layers(); `protocol` for a request that is none.
Result<Fields> serve_pull();

}  // namespace vmette::rootfs
