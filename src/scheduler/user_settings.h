#pragma once
/// The whole of config.toml, before anything is done by it.

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "manifest/load.h"

namespace vmette::scheduler {

/// Everything that is wrong in config.toml but for the keys of a manifest in [defaults], which manifest::load() checks:
/// tables that nobody reads, keys and values of those that somebody does. Empty: nothing, or there is no such file.
/// Errors: `io` for a file that cannot be read, `bad_input` for one that is too large.
Result<std::vector<manifest::Diagnostic>> check_user_settings(const std::filesystem::path& config_file);

}  // namespace vmette::scheduler
