#pragma once
/// Files that a run puts into its root: names, certificates, secrets.

#include <string>
#include <vector>

#include "../protocol.h"
#include "support.h"
#include "tree.h"

namespace vmette::guest {

/// /etc/hostname, /etc/hosts, and /etc/resolv.conf when there is a network with a name server.
Outcome<> put_names(const Tree& tree, const wire::Setup& setup);

/// Adds the certificates to every bundle and anchor folder that the image has. A warning when it has no bundle.
Outcome<> add_certificates(const Tree& tree, const std::vector<std::string>& certificates,
                           std::vector<std::string>& warnings);

/// /run/secrets/NAME, readable by root until give_secrets() says whose they are. Requires /run to be a tmpfs.
Outcome<> put_secrets(const Tree& tree, const std::vector<wire::Pair>& secrets);

/// Makes the secrets the property of the command's user. Called inside the root.
void give_secrets(uid_t uid, gid_t gid);

}  // namespace vmette::guest
