#include "base/text.h"

#include <fnmatch.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

namespace vmette {
namespace {

/// Length of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7), 0 when there is none.
std::size_t utf8_length(std::string_view text) {
    auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
    auto follows = [&](std::size_t count) {
        if (text.size() <= count) return false;
        for (std::size_t i = 1; i <= count; ++i)
            if ((byte(i) & 0xC0) != 0x80) return false;
        return true;
    };
    if (text.empty()) return 0;
    std::uint8_t lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (!follows(2)) return 0;
        bool overlong = lead == 0xE0 && byte(1) < 0xA0;
        bool surrogate = lead == 0xED && byte(1) > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (!follows(3)) return 0;
        bool overlong = lead == 0xF0 && byte(1) < 0x90;
        bool beyond = lead == 0xF4 && byte(1) > 0x8F;
        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a.size()][b.size()];
}

/// Marks, embeddings, overrides and isolates of the bidirectional algorithm (U+061C, U+200E, U+200F, U+202A to U+202E,
/// U+2066 to U+2069): they make a line look like another one. Source: Unicode Standard Annex 9.
bool turns_direction(std::string_view character) {
    if (character == "\xD8\x9C") return true;
    if (character.size() != 3 || character[0] != '\xE2') return false;
    auto second = static_cast<std::uint8_t>(character[1]), third = static_cast<std::uint8_t>(character[2]);
    if (second == 0x80) return third == 0x8E || third == 0x8F || (third >= 0xAA && third <= 0xAE);
    return second == 0x81 && third >= 0xA6 && third <= 0xA9;
}

bool is_c1(std::string_view character) {
    return character.size() == 2 && character[0] == '\xC2' && static_cast<std::uint8_t>(character[1]) < 0xA0;
}

std::string escape_controls(std::string_view text, std::string_view kept) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        std::size_t length = utf8_length(text);
        auto lead = static_cast<std::uint8_t>(text[0]);
        bool c1 = is_c1(text.substr(0, length));
        bool c0 = length == 1 && (lead < 0x20 || lead == 0x7F) && kept.find(text[0]) == kept.npos;
        std::size_t step = std::max<std::size_t>(length, 1);
        if (length == 0 || c0 || c1 || turns_direction(text.substr(0, length))) {
            for (char c : text.substr(0, step)) out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(c));
        } else {
            out += text.substr(0, step);
        }
        text.remove_prefix(step);
    }
    return out;
}

}  // namespace

std::optional<std::string_view> nearest_name(std::string_view word, std::span<const std::string_view> candidates) {
    constexpr std::size_t kLongestWord = 64;  // bounds the work on hostile keys
    if (word.size() > kLongestWord) return std::nullopt;
    std::optional<std::string_view> best;
    std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
    for (std::string_view candidate : candidates) {
        std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

std::string harmless(std::string_view text) { return escape_controls(text, "\n\t"); }

std::string harmless_json(std::string_view json) {
    // The first bytes that such a character can have; most texts have none.
    constexpr std::string_view kFirst = "\x7F\xC2\xD8\xE2";
    std::string out;
    out.reserve(json.size());
    while (!json.empty()) {
        std::size_t plain = std::min(json.find_first_of(kFirst), json.size());
        out += json.substr(0, plain);
        json.remove_prefix(plain);
        std::string_view character = json.substr(0, std::max<std::size_t>(utf8_length(json), 1));
        if (character == "\x7F") {
            out += "\\u007f";
        } else if (is_c1(character)) {
            out += fmt::format("\\u{:04x}", static_cast<std::uint8_t>(character[1]));
        } else if (turns_direction(character)) {
            auto low = [&](std::size_t i) { return static_cast<std::uint8_t>(character[i]) & 0x3FU; };
            out += character.size() == 2 ? std::string("\\u061c")
                                         : fmt::format("\\u{:04x}", 0x2000U | low(1) << 6 | low(2));
        } else {
            out += character;
        }
        json.remove_prefix(character.size());
    }
    return out;
}

std::string harmless_line(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) return escape_controls(text, "");
    // Not inside a character, which has at most three bytes after its first.
    std::size_t cut = limit;
    for (int back = 0; back < 3 && cut > 0 && (static_cast<std::uint8_t>(text[cut]) & 0xC0) == 0x80; ++back) --cut;
    return escape_controls(text.substr(0, cut), "") + "…";
}

bool valid_utf8(std::string_view text) {
    while (!text.empty()) {
        std::size_t length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string to_valid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        std::size_t length = utf8_length(text);
        if (length == 0)
            out += "\xEF\xBF\xBD";
        else
            out += text.substr(0, length);
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return out;
}

std::string shell_quote(std::string_view word) {
    constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:=@%+,";
    if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return std::string(word);
    std::string out = "'";
    for (char c : word) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + "'";
}

bool glob_match(const std::string& pattern, const std::string& text) {
    return ::fnmatch(pattern.c_str(), text.c_str(), 0) == 0;
}

}  // namespace vmette
