#pragma once
/// The spelling of a source that is fetched or read: KIND+file:///path, KIND+http://…, KIND+https://…, each with an
/// optional #sha256=HEX.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vmette::rootfs {

struct UrlSource {
    std::string text;            ///< as it was asked for
    std::string url;             ///< "https://…"; empty for a file
    std::filesystem::path file;  ///< absolute; empty for a URL
    std::string sha256;          ///< what the content must hash to, 64 lower-case digits; empty: not said
    bool operator==(const UrlSource&) const = default;

    bool is_file() const { return url.empty(); }
    /// The name of the source's lock and part file: fit for a file name, one for each spelling.
    std::string key() const;
};

/// What resolving `source` would refuse at once: its spelling, or a file that is not there and whose content is not
/// pinned (an image of a pinned one may be in the cache). Errors: `bad_input`, `not_found`.
Result<> check_url_source(const std::string& source, std::string_view kind);

/// Reads `source`, whose kind ("tar", "squashfs") is already known. Errors: `bad_input`.
Result<UrlSource> parse_url_source(const std::string& source, std::string_view kind);

}  // namespace vmette::rootfs
