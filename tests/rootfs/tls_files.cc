#include "rootfs/tls_files.h"

#include <gtest/gtest.h>

#include "rootfs/fixture.h"

namespace vmette::rootfs {

TlsFiles make_certificate(const std::filesystem::path& folder, const std::string& name, const std::string& names) {
    TlsFiles files{folder / (name + ".pem"), folder / (name + ".key")};
    run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-keyout", files.key.string(), "-out", files.certificate.string(), "-days", "2", "-subj",
                 "/CN=" + name, "-addext", "subjectAltName=" + names});
    return files;
}

TlsContext make_tls_server(const TlsFiles& files) {
    TlsContext context(::SSL_CTX_new(::TLS_server_method()));
    EXPECT_EQ(::SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()), 1);
    EXPECT_EQ(::SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM), 1);
    return context;
}

}  // namespace vmette::rootfs
