#include "scheduler/history_settings.h"

#include <array>

#include "base/settings_file.h"
#include "base/units.h"

namespace vmette::scheduler {
namespace {

/// More of one run would make each of its kind wait for the index.
constexpr std::uint64_t kMostSearchBytes = 16 * kMiB;

}  // namespace

HistorySettings read_history_settings(SettingsFile& file) {
    HistorySettings settings;
    const toml::table* table = file.table("history");
    if (table == nullptr) return settings;
    static constexpr std::array<std::string_view, 2> kKeys{"search", "search_bytes"};
    for (auto&& [key, node] : *table) {
        if (key == kKeys[0]) {
            file.read_flag(node, "history.search", settings.search);
        } else if (key == kKeys[1]) {
            std::uint64_t bytes = 0;
            if (!file.read_size(node, "history.search_bytes", bytes)) continue;
            if (bytes > kMostSearchBytes)
                file.add(node.source(), "history.search_bytes is at most {}", format_size(kMostSearchBytes));
            else
                settings.search_bytes = bytes;
        } else {
            file.unknown_key(key, "history", kKeys);
        }
    }
    return settings;
}

Result<HistorySettings> load_history_settings(const std::filesystem::path& config_file) {
    VMETTE_TRY(auto file, SettingsFile::read(config_file));
    HistorySettings settings = read_history_settings(file);
    VMETTE_CHECK_OK(file.verdict());
    return settings;
}

}  // namespace vmette::scheduler
