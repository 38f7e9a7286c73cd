#pragma once
/// Certificates made for one test by openssl(1), and what a server of the test's own needs of OpenSSL.

#include <openssl/ssl.h>

#include <filesystem>
#include <memory>
#include <string>

namespace vmette::rootfs {

/// A certificate that signed itself, so it is also the authority to be trusted. PEM.
struct TlsFiles {
    std::filesystem::path certificate;
    std::filesystem::path key;
};

/// `names` as in subjectAltName: "IP:127.0.0.1". Files NAME.pem and NAME.key in `folder`.
TlsFiles make_certificate(const std::filesystem::path& folder, const std::string& name,
                          const std::string& names = "IP:127.0.0.1");

struct FreeTls {
    void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
    void operator()(SSL* connection) const { ::SSL_free(connection); }
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeTls>;
using TlsConnection = std::unique_ptr<SSL, FreeTls>;

TlsContext make_tls_server(const TlsFiles& files);

}  // namespace vmette::rootfs
