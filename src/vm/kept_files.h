#pragma once
/// Files of the cache that are made once and used by many runs. They are nameless until they are whole, so that a crash
/// leaves nothing, and the least recently used go first.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::vm {

/// A nameless file in `folder`, which is made if need be. Errors: unsupported (no O_TMPFILE there), io, no_space.
Result<Fd> stage_file(const std::filesystem::path& folder);

/// Gives a staged file its name. What stands there already stays when `is_whole` says that it is good (another process
/// was faster), else it is replaced.
Result<> name_file(const Fd& staged, const std::filesystem::path& path, const std::function<bool(int)>& is_whole);

/// Marks a file as used now.
void touch_file(const Fd& file);

/// Removes the least recently used files of an extension (".ext4") but for the newest `keep`. Best effort: another
/// process may do the same.
void prune_files(const std::filesystem::path& folder, std::string_view extension, std::size_t keep);

}  // namespace vmette::vm
