#pragma once
/// How images are named that are on this machine already, in no registry.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "rootfs/oci/reference.h"

namespace vmette::rootfs::oci {

enum class LocalKind { oci_layout, docker_archive, docker_daemon };

struct LocalSource {
    LocalKind kind = LocalKind::oci_layout;
    std::filesystem::path path;      ///< of the layout's folder or the archive, as written; empty for the daemon
    std::string tag;                 ///< of a layout: the image's ref.name; of an archive: a tag alone; empty: not said
    std::optional<Reference> image;  ///< of an archive: when a name was said; of the daemon: always
    bool operator==(const LocalSource&) const = default;
};

/// Whether `source` begins with "oci-layout:", "docker-archive:" or "docker-daemon:".
bool is_local_source(std::string_view source);

/// Reads
///   oci-layout:DIR[:TAG]                 TAG is what the layout's index calls the image; it may hold ":", "/" and "@"
///   docker-archive:FILE[:TAG]            a TAG alone, or
///   docker-archive:FILE[:NAME[:TAG]]     a name, told by its ":", "/" or "@"; read as parse_reference() does
///   docker-daemon:NAME[:TAG]
/// DIR and FILE end at the first ":" (as skopeo's do). A ":" that is part of the path is written %3A, a "%" before two
/// hexadecimal digits %25, as in tar+file://. Errors: `bad_input`.
Result<LocalSource> parse_local_source(std::string_view source);

}  // namespace vmette::rootfs::oci
