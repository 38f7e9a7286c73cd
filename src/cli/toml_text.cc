#include "cli/toml_text.h"

#include <fmt/format.h>

namespace vmette::cli {

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += {'\\', c};
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (byte < 0x20 || byte == 0x7F)
            out += fmt::format("\\u{:04X}", byte);
        else
            out += c;
    }
    return out + "\"";
}

std::string toml_literal(std::string_view text) {
    std::string doubled;
    for (char c : text) {
        doubled += c;
        if (c == '$') doubled += c;
    }
    return toml_string(doubled);
}

std::string toml_key(std::string_view key) {
    constexpr std::string_view kBare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    if (!key.empty() && key.find_first_not_of(kBare) == key.npos) return std::string(key);
    return toml_string(key);
}

std::string toml_argv(const std::vector<std::string>& words) {
    std::vector<std::string> quoted;
    for (const auto& word : words) quoted.push_back(toml_string(word));
    return fmt::format("[{}]", fmt::join(quoted, ", "));
}

}  // namespace vmette::cli
