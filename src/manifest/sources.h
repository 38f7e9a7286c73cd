#pragma once
/// The texts of a LoadRequest as trees.

#include <optional>
#include <vector>

#include "manifest/diagnostics.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// Absolute and without "." and "..", by spelling.
std::filesystem::path absolute_folder(const std::filesystem::path& folder);

/// One for each source and then one for each `set`, in order of precedence.
std::vector<Origin> list_origins(const LoadRequest& request);

/// The tree of an origin of list_origins(); of a config.toml its [defaults]. What does not parse is reported.
std::optional<Value> parse_origin(const LoadRequest& request, const std::vector<Origin>& origins, std::uint32_t index,
                                  Report& report);

}  // namespace vmette::manifest
