#pragma once
/// Paths of the host that a manifest names.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "manifest/loading.h"

namespace vmette::manifest {

/// A path as written, and what it starts from.
struct HostPath {
    std::filesystem::path anchor;  ///< the manifest's folder, the home folder, or /
    std::filesystem::path full;    ///< absolute, lexically normal, no slash at the end
};

/// Resolves `text` against the folder of the file that holds it, or the home folder. Reports and returns nothing when
/// there is no such folder or the path is no UTF-8 (a manifest could not hold it).
std::optional<HostPath> host_path(const std::string& text, Place place, Loading& loading);

/// `path` is `folder` or lies below it, by spelling.
bool is_within(const std::filesystem::path& path, const std::filesystem::path& folder);

/// The real path of a folder that is to be shared. The way down to it from what `path.anchor` and it have in common may
/// follow symlinks only where they stay within the folder that holds them: what the manifest's author did not write
/// cannot be shared by a link that somebody planted. `bad_input` otherwise, `not_found` when it is missing.
/// `real_folders` remembers where the ways begin.
Result<std::filesystem::path> resolve_share(const HostPath& path,
                                            std::map<std::filesystem::path, std::filesystem::path>& real_folders);

enum class Expect { file, disk, anything };
/// Reports, when the host is to be checked and the path is missing or of the wrong kind.
void expect_on_host(const std::filesystem::path& path, Expect what, std::string_view key, Place place,
                    Loading& loading);

}  // namespace vmette::manifest
