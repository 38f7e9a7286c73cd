#pragma once
/// Formatted, empty filesystems to copy scratch disks from: formatting costs several times what copying does.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::vm {

/// How many sizes are kept; the least recently used go first.
constexpr std::size_t kMaxScratchTemplates = 8;

/// mkfs.ext4's arguments for a scratch disk. `file` stands last.
std::vector<std::string> mkfs_arguments(const std::string& file);

/// Formats the (empty, sized) file behind `fd`. Errors: not_found (mkfs.ext4 is missing), no_space, io.
Result<> format_scratch(int fd);

/// The template of that size in `folder`, open for reading; made when there is none, or none that is whole. It appears
/// under its name complete or not at all, whoever else makes one at the same time. Errors as of format_scratch; and
/// unsupported where the filesystem has no O_TMPFILE, so that it could not be made without a file that may be left
/// over.
Result<Fd> open_scratch_template(const std::filesystem::path& folder, std::uint64_t bytes);

}  // namespace vmette::vm
