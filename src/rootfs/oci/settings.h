#pragma once
/// The parts of the user's config.toml that are about images.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"

namespace vmette {
class SettingsFile;
}

namespace vmette::rootfs::oci {

/// [registries."HOST[:PORT]"]
struct RegistrySettings {
    std::vector<std::string> mirrors;  ///< "HOST[:PORT]", asked first, in order; never with the registry's credentials
    bool plain_http = false;           ///< speak HTTP to it (loopback: always allowed)
    std::filesystem::path ca_certs;    ///< PEM file or folder of them, beside the system's; empty: none
    bool operator==(const RegistrySettings&) const = default;
};

enum class Compression { zstd, lz4, gzip };

struct ImageSettings {
    Compression compression = Compression::zstd;         ///< images.compression
    std::chrono::seconds ttl{3600};                      ///< images.ttl: how long a tag is taken to name what it named
    std::uint64_t max_download = 16ULL << 30;            ///< images.max_download: bytes of one layer or file
    std::uint64_t max_unpacked = 64ULL << 30;            ///< images.max_unpacked: bytes of one image's contents
    std::uint64_t max_entries = 4'000'000;               ///< images.max_entries: of one image
    std::uint64_t cache_size = 0;                        ///< images.cache_size: bytes; 0: no bound
    std::chrono::seconds cache_age{0};                   ///< images.cache_age: since the last use; 0: no bound
    std::map<std::string, RegistrySettings> registries;  ///< by canonical_registry() of their names
    bool operator==(const ImageSettings&) const = default;

    /// Of a host; the defaults for one that is not named. "docker.io" names Docker Hub.
    RegistrySettings of(const std::string& registry) const;
};

/// What counts without a config.toml. Lives as long as the program.
const ImageSettings& default_image_settings();

/// Reads [images] and [registries] of config.toml (docs/images.md says how they are spelt); other tables are not looked
/// at. What is wrong is added to the file's problems.
ImageSettings read_image_settings(SettingsFile& file);

/// The same of a file on disk; one that is not there gives the defaults. Errors: those of SettingsFile::read(), and its
/// verdict().
Result<ImageSettings> load_image_settings(const std::filesystem::path& config_file);

}  // namespace vmette::rootfs::oci
