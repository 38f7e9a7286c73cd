#include "rootfs/worker/certificates.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <filesystem>

namespace vmette::rootfs {
namespace {

bool add_certificates(X509_STORE* store, const std::string& path) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) return ::X509_STORE_load_file(store, path.c_str()) == 1;
    for (const auto& file : std::filesystem::directory_iterator(path, error)) {
        auto kind = file.path().extension();
        if (kind != ".crt" && kind != ".pem" && kind != ".cer") continue;
        if (::X509_STORE_load_file(store, file.path().c_str()) != 1) return false;
    }
    return !error;
}

/// Called by libcurl once it has loaded the system's.
CURLcode add_all(CURL*, void* context, void* paths) {
    X509_STORE* store = ::SSL_CTX_get_cert_store(static_cast<SSL_CTX*>(context));
    for (const std::string& path : *static_cast<const std::vector<std::string>*>(paths))
        if (!path.empty() && !add_certificates(store, path)) return CURLE_SSL_CACERT_BADFILE;
    return CURLE_OK;
}

}  // namespace

void trust_certificates(CURL* curl, const std::vector<std::string>& paths) {
    if (std::all_of(paths.begin(), paths.end(), [](const auto& path) { return path.empty(); })) return;
    ::curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, add_all);
    ::curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, &paths);
}

}  // namespace vmette::rootfs
