#pragma once
/// Who the user is to a registry: found where Docker, podman and vmette keep it. Never logged, never in an argument.

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/units.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {

struct Credentials {
    std::string user;
    std::string password;
    std::string identity_token;  ///< an OAuth2 refresh token, instead of both
    std::string registry_token;  ///< a bearer token, instead of all three
    bool empty() const { return password.empty() && identity_token.empty() && registry_token.empty(); }
};

/// What the search looks at; a test gives its own.
struct CredentialSources {
    std::function<std::optional<std::string>(const std::string&)> environment;  ///< by name
    std::filesystem::path home;
    std::filesystem::path runtime_dir;  ///< $XDG_RUNTIME_DIR; empty: none
    Duration helper_limit{10'000};      ///< what one call of a helper may take
    static CredentialSources of_process();
};

/// In this order, first found wins:
///  1. VMETTE_OCI_AUTH_<HOST>: "user:password" or its base64 (VMETTE_OCI_AUTH_GHCR_IO,
///     VMETTE_OCI_AUTH_127_0_0_1_5000); how HOST is spelt: auth_variable.h;
///  2. VMETTE_OCI_TOKEN as password with VMETTE_OCI_USER (or "token") as user: the caller uses it for the host that the
///     reference names, never for a mirror or a redirect;
///  3. $DOCKER_CONFIG/config.json, else ~/.docker/config.json: the helper that credHelpers names for that host, else
///     credsStore; then auths. An empty name in credHelpers means: no helper for that host;
///  4. $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json: the same keys.
/// A longer matching namespace ("quay.io/acme") comes before a shorter one. docker.io's are also found under
/// "https://index.docker.io/v1/". Empty when there are none. A helper (docker-credential-NAME, found on PATH; NAME is
/// checked to be a plain name) gets 10 s and 64 KiB of answer.
/// Errors: `bad_input` for a file that is no JSON or larger than 1 MiB, for a helper that is missing or fails, and for
/// a control character in what was found; `io` for a file that cannot be read. The message names variable, file or
/// helper and never holds a secret.
Result<Credentials> find_credentials(const Reference& reference, const CredentialSources& sources);

}  // namespace vmette::rootfs::oci
