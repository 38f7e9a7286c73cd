#include "scheduler/needs.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace vmette::scheduler {

std::string needs_text(const std::vector<manifest::Need>& needs) {
    std::string text;
    for (const auto& need : needs)
        text += fmt::format("{}{}{}", text.empty() ? "" : " ", need.group ? "g" : "", need.index);
    return text;
}

std::vector<manifest::Need> parse_needs(std::string_view text, std::uint32_t jobs, std::uint32_t groups) {
    std::vector<manifest::Need> needs;
    while (!text.empty()) {
        auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(word.size() + 1, text.size()));
        bool group = word.starts_with('g');
        if (group) word.remove_prefix(1);
        std::uint32_t needed = 0;
        auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), needed);
        if (error == std::errc{} && needed < (group ? groups : jobs)) needs.push_back({group, needed});
    }
    return needs;
}

}  // namespace vmette::scheduler
