#include "scheduler/history_settings.h"

#include <array>

#include <toml++/toml.h>

#include "base/text.h"
#include "base/units.h"
#include "manifest/load.h"

namespace vmette::scheduler {
namespace {

/// More of one run would make each of its kind wait for the index.
constexpr std::uint64_t kMostSearchBytes = 16 * kMiB;
/// toml++ recurses into dotted keys without a bound: no line of ours needs as many dots.
constexpr std::ptrdiff_t kMaxDotsInLine = 2000;

bool too_dotted(std::string_view text) {
    std::ptrdiff_t dots = 0;
    for (char c : text) {
        dots = c == '\n' ? 0 : dots + (c == '.');
        if (dots > kMaxDotsInLine) return true;
    }
    return false;
}

Result<> read(const toml::table& table, HistorySettings& settings) {
    static constexpr std::array<std::string_view, 2> kKeys{"search", "search_bytes"};
    for (const auto& [key, node] : table) {
        if (key.str() == kKeys[0]) {
            const auto* value = node.as_boolean();
            if (value == nullptr) return fail(ErrorCode::bad_input, "history.search is true or false");
            settings.search = value->get();
        } else if (key.str() == kKeys[1]) {
            const auto* value = node.as_string();
            if (value == nullptr)
                return fail(ErrorCode::bad_input, "history.search_bytes is a size in quotes: \"64K\"");
            VMETTE_TRY(settings.search_bytes, parse_size(value->get()));
            if (settings.search_bytes > kMostSearchBytes)
                return fail(ErrorCode::bad_input, "history.search_bytes is at most {}", format_size(kMostSearchBytes));
        } else {
            auto nearest = nearest_name(key.str(), kKeys);
            return fail(ErrorCode::bad_input, "there is no key history.{}{}", harmless_line(key.str(), 80),
                        nearest ? fmt::format("; did you mean {}?", *nearest) : "");
        }
    }
    return {};
}

Result<HistorySettings> parse(const std::string& text) {
    HistorySettings settings;
    // A line like no other: whatever it is, it is not the table looked for.
    if (too_dotted(text)) return fail(ErrorCode::bad_input, "a line has more than {} dots", kMaxDotsInLine);
    try {
        toml::table document = toml::parse(text);
        const auto* node = document.get("history");
        if (node == nullptr) return settings;
        const auto* table = node->as_table();
        if (table == nullptr) return fail(ErrorCode::bad_input, "history is a table");
        VMETTE_CHECK_OK(read(*table, settings));
    } catch (const toml::parse_error& problem) {
        return fail(ErrorCode::bad_input, "line {}: {}", problem.source().begin.line,
                    harmless_line(problem.description()));
    }
    return settings;
}

}  // namespace

Result<HistorySettings> load_history_settings(const std::filesystem::path& config_file) {
    std::error_code ignored;
    if (!std::filesystem::exists(config_file, ignored)) return HistorySettings{};
    VMETTE_TRY(auto source, manifest::read_source(config_file));
    auto settings = parse(source.text);
    if (!settings) return Failure(settings.error().because(config_file.string()));
    return settings;
}

}  // namespace vmette::scheduler
