#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace vmette::guest {

namespace {

/// Debian and Alpine; Fedora and its kin; openSUSE; the path that OpenSSL itself looks at.
constexpr const char* kBundles[] = {
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "var/lib/ca-certificates/ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/ssl/cert.pem",
};

/// What update-ca-certificates, update-ca-trust and trust(1) read when somebody runs them in the guest.
constexpr const char* kAnchors[] = {
    "usr/local/share/ca-certificates",
    "etc/pki/ca-trust/source/anchors",
    "etc/ca-certificates/trust-source/anchors",
    "etc/pki/trust/anchors",
};

Outcome<std::size_t> append_to_bundles(const Tree& tree, const std::string& pem) {
    std::vector<std::pair<dev_t, ino_t>> done;
    for (const char* path : kBundles) {
        // Several of them are often links to one file.
        Fd file = tree.open_at(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY);
        struct stat status{};
        if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
        std::pair<dev_t, ino_t> identity{status.st_dev, status.st_ino};
        if (std::find(done.begin(), done.end(), identity) != done.end()) continue;
        if (!write_all(file.get(), pem)) return fail_errno("add certificates to /", path);
        done.push_back(identity);
    }
    return done.size();
}

}  // namespace

Outcome<> put_names(const Tree& tree, const wire::Setup& setup) {
    const std::string& name = setup.hostname;
    if (!name.empty()) {
        GUEST_CHECK(tree.put_file("etc/hostname", text(name, "\n")));
        GUEST_CHECK(tree.put_file("etc/hosts", text("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
                                                    "127.0.1.1\t", name, "\n")));
    }
    if (setup.network.present && !setup.network.dns.empty())
        GUEST_CHECK(tree.put_file("etc/resolv.conf", text("nameserver ", setup.network.dns, "\n")));
    return {};
}

Outcome<> add_certificates(const Tree& tree, const std::vector<std::string>& certificates,
                           std::vector<std::string>& warnings) {
    if (certificates.empty()) return {};
    std::string all;
    for (const std::string& pem : certificates) all += text("\n", pem, pem.ends_with('\n') ? "" : "\n");
    GUEST_TRY(std::size_t bundles, append_to_bundles(tree, all));
    if (bundles == 0) warnings.push_back("the image has no bundle of CA certificates: programs in it do not see yours");
    for (const char* folder : kAnchors) {
        if (!tree.open_at(folder, O_PATH | O_DIRECTORY)) continue;
        for (std::size_t i = 0; i < certificates.size(); ++i)
            GUEST_CHECK(tree.put_file(text(folder, "/vmette-", i + 1, ".crt"), certificates[i]));
    }
    return {};
}

Outcome<> put_secrets(const Tree& tree, const std::vector<wire::Pair>& secrets) {
    if (secrets.empty()) return {};
    GUEST_CHECK(tree.make_directory("run/secrets", 0755));
    for (const wire::Pair& secret : secrets) {
        if (secret.key.empty() || secret.key.starts_with('.') || secret.key.find('/') != std::string::npos)
            return fail("\"", secret.key, "\" is no name for a secret");
        GUEST_CHECK(tree.put_file(text("run/secrets/", secret.key), secret.value, 0400));
    }
    return {};
}

void give_secrets(uid_t uid, gid_t gid) {
    DIR* folder = opendir("/run/secrets");
    if (folder == nullptr) return;
    const int at = dirfd(folder);
    while (dirent* entry = at >= 0 ? readdir(folder) : nullptr) {
        if (entry->d_name[0] == '.') continue;
        [[maybe_unused]] int changed = fchownat(at, entry->d_name, uid, gid, AT_SYMLINK_NOFOLLOW);
    }
    closedir(folder);
}

}  // namespace vmette::guest
