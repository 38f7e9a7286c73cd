#pragma once
/// [history] of the user's config.toml.

#include <cstdint>
#include <filesystem>

#include "base/error.h"

namespace vmette::scheduler {

struct HistorySettings {
    bool search = true;                   ///< history.search: what runs write is kept for `history --grep`
    std::uint64_t search_bytes = 65'536;  ///< history.search_bytes: of one run, of both its streams together
};

/// A file that is not there gives the defaults. `bad_input` names what is wrong in it; other tables are not looked at.
Result<HistorySettings> load_history_settings(const std::filesystem::path& config_file);

}  // namespace vmette::scheduler
