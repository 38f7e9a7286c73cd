#pragma once
/// Images that a container daemon on this machine holds: Docker, or Podman's service, which speaks the same API. The
/// image worker talks to it.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "rootfs/oci/local_source.h"
#include "rootfs/provider.h"

namespace vmette::rootfs::oci {

/// Where a daemon is looked for.
struct DaemonPlaces {
    std::string docker_host;      ///< DOCKER_HOST; empty: not set
    std::string xdg_runtime_dir;  ///< empty: not set
    static DaemonPlaces of_process();
};

/// The sockets to be tried, in order: that of DOCKER_HOST alone when it is set, else Docker's (/var/run/docker.sock,
/// then that of a rootless one), else Podman's. `unsupported` for a DOCKER_HOST that is no unix://, `bad_input` for one
/// without an absolute path.
Result<std::vector<std::filesystem::path>> daemon_sockets(const DaemonPlaces& places);

/// A daemon that was there a moment ago. Its answers are a stranger's.
class Daemon {
public:
    /// The first socket that takes a connection. `not_found` says of each why it did not.
    static Result<Daemon> find(const DaemonPlaces& places);

    /// The ID ("sha256:…") of the image that `source` names. `not_found` names those that are there.
    Result<std::string> image_id(const LocalSource& source, const Context& context) const;
    /// The image of this ID as an archive of `docker save`, in a file without a name in the cache, at most
    /// `limits.max_unpacked` bytes. Errors: `network`, `bad_image`, `no_space`, `cancelled`.
    Result<Fd> save(const std::string& id, const Context& context) const;

    const std::filesystem::path& socket() const { return socket_; }

private:
    struct Question {
        std::string path;
        std::uint64_t max_bytes;
        std::chrono::seconds stall;
    };
    explicit Daemon(std::filesystem::path socket) : socket_(std::move(socket)) {}
    /// The answer's body goes to `output`. Its status, when it is not 200, is an error.
    Result<> ask(const Question& question, int output, const Context& context) const;
    Result<std::string> ask_document(const std::string& path, const Context& context) const;
    std::string images_there(const Context& context) const;

    std::filesystem::path socket_;
};

}  // namespace vmette::rootfs::oci
