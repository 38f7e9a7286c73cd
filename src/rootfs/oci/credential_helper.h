#pragma once
/// Programs that keep credentials for Docker. Source of the protocol: github.com/docker/docker-credential-helpers.

#include <string>

#include "base/error.h"
#include "base/units.h"
#include "rootfs/oci/credentials.h"

namespace vmette::rootfs::oci {

/// Asks docker-credential-NAME for what it keeps under `server`; empty when it has none. Errors: `bad_input`, which
/// names the helper and holds nothing of what it said.
Result<Credentials> ask_helper(const std::string& name, const std::string& server, Duration limit);

}  // namespace vmette::rootfs::oci
