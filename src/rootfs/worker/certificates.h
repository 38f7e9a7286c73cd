#pragma once
/// Certificates that are trusted beside the system's.

#include <curl/curl.h>

#include <string>
#include <vector>

namespace vmette::rootfs {

/// Lets the transfer trust what these PEM files, or folders of them (*.crt, *.pem, *.cer), hold; empty paths are left
/// out. `paths` outlives the transfer. One that cannot be read fails the transfer with CURLE_SSL_CACERT_BADFILE.
void trust_certificates(CURL* curl, const std::vector<std::string>& paths);

}  // namespace vmette::rootfs
