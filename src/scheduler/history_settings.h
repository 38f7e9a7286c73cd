#pragma once
/// [history] of the user's config.toml.

#include <cstdint>
#include <filesystem>

#include "base/error.h"

namespace vmette {
class SettingsFile;
}

namespace vmette::scheduler {

struct HistorySettings {
    bool search = true;                   ///< history.search: what runs write is kept for `history --grep`
    std::uint64_t search_bytes = 65'536;  ///< history.search_bytes: of one run, of both its streams together
};

/// What is wrong is added to the file's problems; other tables are not looked at.
HistorySettings read_history_settings(SettingsFile& file);
/// The same of a file on disk; one that is not there gives the defaults. Errors: those of SettingsFile::read(), and its
/// verdict().
Result<HistorySettings> load_history_settings(const std::filesystem::path& config_file);

}  // namespace vmette::scheduler
