#include "scheduler/user_settings.h"

#include <algorithm>
#include <array>

#include "base/settings_file.h"
#include "base/text.h"
#include "manifest/diagnostics.h"
#include "rootfs/oci/settings.h"
#include "scheduler/history_settings.h"

namespace vmette::scheduler {

Result<std::vector<manifest::Diagnostic>> check_user_settings(const std::filesystem::path& config_file) {
    VMETTE_TRY(auto file, SettingsFile::read(config_file));
    static constexpr std::array<std::string_view, 4> kTables{"defaults", "history", "images", "registries"};
    for (auto&& [key, node] : file.document())
        if (std::ranges::find(kTables, key.str()) == kTables.end()) file.unknown_key(key, "config.toml", kTables);
    [[maybe_unused]] auto images = rootfs::oci::read_image_settings(file);
    [[maybe_unused]] auto history = read_history_settings(file);
    std::vector<manifest::Diagnostic> out;
    for (const SettingsProblem& problem : file.problems()) {
        auto shown = manifest::excerpt(problem.line > 0 ? file.line(problem.line) : "", problem.column);
        out.push_back({.file = harmless_line(config_file.string()),
                       .line = problem.line,
                       .column = problem.column,
                       .source_line = std::move(shown.line),
                       .caret = shown.caret,
                       .message = problem.message});
        if (out.size() == manifest::kMaxDiagnostics) break;
    }
    return out;
}

}  // namespace vmette::scheduler
