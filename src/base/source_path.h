#pragma once
/// Where the spelling of a root filesystem holds a path of this machine, for those who make it absolute.

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace vmette {

struct SourcePath {
    std::size_t start = 0, size = 0;  ///< of the path in the source
    std::string_view reserved;        ///< characters that end a path there; one that belongs to it is written %XX
    std::string path;                 ///< as the file is called
};

/// Nothing for a source without one. Knows "file://x", "KIND+file://x#sha256=…" and
/// "oci-layout:x:TAG", "oci-archive:x:TAG", "docker-archive:x:TAG".
std::optional<SourcePath> find_source_path(std::string_view source);

/// The source with another path in the place of `found`.
std::string with_path(std::string_view source, const SourcePath& found, const std::filesystem::path& path);

/// %20 and its like become the byte they stand for; a % that starts no such group stays.
std::string percent_decoded(std::string_view text);

}  // namespace vmette
