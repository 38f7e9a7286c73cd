#pragma once
/// How images are named that are on this machine already, in no registry.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {

enum class LocalKind { oci_layout, oci_archive, docker_archive, docker_daemon };

struct LocalSource {
    LocalKind kind = LocalKind::oci_layout;
    std::filesystem::path path;  ///< of the layout's folder or the archive, as written; empty for the daemon
    /// Of a layout or an OCI archive: what its index calls the image; of an archive: a tag alone; of all and the daemon
    /// also a digest, the daemon's "image ID". Empty: not said.
    std::string tag;
    std::optional<Reference> image;  ///< of a Docker archive or the daemon: when a name was said
    bool operator==(const LocalSource&) const = default;
};

/// Whether `source` begins with "oci-layout:", "oci-archive:", "docker-archive:" or "docker-daemon:".
bool is_local_source(std::string_view source);

/// Reads
///   oci-layout:DIR[:TAG]                 TAG is what the layout's index calls the image; it may hold ":", "/" and "@"
///   oci-archive:FILE[:TAG]               the same, packed by tar
///   docker-archive:FILE[:TAG]            a TAG alone, or
///   docker-archive:FILE[:NAME[:TAG]]     a name, told by its ":", "/" or "@"; read as parse_reference() does
///   docker-daemon:NAME[:TAG]
/// Where a TAG or a NAME may stand, "sha256:" and 64 digits name an image by its digest: of its manifest in a layout or
/// OCI archive, else of its config, which is Docker's "image ID".
/// DIR and FILE end at the first ":" (as skopeo's do). A ":" that is part of the path is written %3A, a "%" before two
/// hexadecimal digits %25, as in tar+file://. Errors: `bad_input`.
Result<LocalSource> parse_local_source(std::string_view source);

}  // namespace vmette::rootfs::oci
