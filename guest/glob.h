#pragma once
/// Patterns of absolute paths, matched part by part: the guest walks by them, and the host holds what comes against
/// them. Like protocol.h it needs neither exceptions nor RTTI.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vmette::wire {

namespace detail {

/// The character at `at`, which moves behind it: a code point of UTF-8, or a lone byte where the text is none.
inline std::uint32_t take_character(std::string_view text, std::size_t& at) {
    const auto byte = [&](std::size_t i) -> std::uint32_t { return static_cast<std::uint8_t>(text[i]); };
    const std::uint32_t first = byte(at++);
    const std::size_t more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
    std::uint32_t point = more == 0 ? first : first & (0x3FU >> more);
    if (more == 0 || at + more > text.size()) return first;
    for (std::size_t i = 0; i < more; ++i) {
        if ((byte(at + i) & 0xC0U) != 0x80) return first;
        point = point << 6 | (byte(at + i) & 0x3FU);
    }
    at += more;
    return point;
}

/// The set `[…]` that begins at `at`, which moves behind it; `inside` says whether it holds `c`. False, with `at` where
/// it was, when the bracket is never closed and so means itself.
inline bool take_set(std::string_view pattern, std::size_t& at, std::uint32_t c, bool& inside) {
    std::size_t i = at + 1;
    const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    if (negated) ++i;
    bool found = false;
    for (const std::size_t first = i; i < pattern.size();) {
        if (pattern[i] == ']' && i > first) {
            at = i + 1;
            inside = found != negated;
            return true;
        }
        const std::uint32_t low = take_character(pattern, i);
        std::uint32_t high = low;
        if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') high = take_character(pattern, ++i);
        if (low <= c && c <= high) found = true;
    }
    return false;
}

/// Whether the element of the pattern at `at`, which moves behind it, takes `c`. It is no `*`.
inline bool takes(std::string_view pattern, std::size_t& at, std::uint32_t c) {
    bool inside = false;
    if (pattern[at] == '[' && take_set(pattern, at, c, inside)) return inside;
    if (pattern[at] == '?') {
        ++at;
        return true;
    }
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    return take_character(pattern, at) == c;
}

/// One part against one name. Takes at most the product of their lengths: only the last `*` is ever gone back to.
inline bool matches_part(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0, after_star = std::string_view::npos, star_ends = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            after_star = ++p;
            star_ends = n;
            continue;
        }
        std::size_t next_p = p, next_n = n;
        const std::uint32_t c = take_character(name, next_n);
        if (p < pattern.size() && takes(pattern, next_p, c)) {
            p = next_p;
            n = next_n;
        } else if (after_star != std::string_view::npos) {
            take_character(name, star_ends);
            p = after_star;
            n = star_ends;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

}  // namespace detail

/// `*` and `?` and `[a-z]`, `[!a-z]` match within a part, whatever it begins with; `\` takes the next character as it
/// is; a part `**` stands for any number of parts, also none. Where the last part is spelt out and is a folder's name,
/// all that lies below it matches too.
class PathGlob {
public:
    /// Parts of a pattern beyond this are never matched.
    static constexpr std::size_t kMaxParts = 32;

    explicit PathGlob(std::string_view pattern) {
        while (!pattern.empty()) {
            const std::size_t end = std::min(pattern.find('/'), pattern.size());
            const std::string_view part = pattern.substr(0, end);
            pattern.remove_prefix(std::min(end + 1, pattern.size()));
            if (part.empty() || part == "." || (part == "**" && !parts_.empty() && parts_.back() == "**")) continue;
            parts_.emplace_back(part);
        }
        if (parts_.size() > kMaxParts) parts_.clear();
        takes_folders_ = !parts_.empty() && is_spelt(parts_.back());
    }

    /// How far a path has come: bit i says that the parts before i are matched. 0: it cannot match any more.
    using Positions = std::uint64_t;

    Positions start() const { return parts_.empty() ? 0 : skip_any(1); }
    /// After one more part of the path.
    Positions step(Positions at, std::string_view name) const {
        Positions next = 0;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            if ((at >> i & 1) == 0) continue;
            if (parts_[i] == "**")
                next |= Positions{1} << i;
            else if (detail::matches_part(parts_[i], name))
                next |= Positions{2} << i;
        }
        if (takes_folders_ && accepts(at)) next |= at & end_bit();
        return skip_any(next);
    }
    /// What has come so far is a match.
    bool accepts(Positions at) const { return (at >> parts_.size() & 1) != 0; }
    /// Something below may be one.
    bool goes_on(Positions at) const { return (at & (end_bit() - 1)) != 0 || (takes_folders_ && accepts(at)); }

    /// Adds the names that can come next, when the pattern spells them out; false when it does not.
    bool spell(Positions at, std::vector<std::string>& names) const {
        if (takes_folders_ && accepts(at)) return false;
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            if ((at >> i & 1) == 0) continue;
            if (!is_spelt(parts_[i])) return false;
            names.push_back(parts_[i]);
        }
        return true;
    }

    /// Whether a whole path matches; a leading slash means nothing.
    bool matches(std::string_view path) const {
        Positions at = start();
        while (!path.empty()) {
            const std::size_t end = std::min(path.find('/'), path.size());
            if (end > 0) at = step(at, path.substr(0, end));
            path.remove_prefix(std::min(end + 1, path.size()));
        }
        return accepts(at);
    }

private:
    static bool is_spelt(std::string_view part) { return part.find_first_of("*?[\\") == std::string_view::npos; }
    Positions end_bit() const { return Positions{1} << parts_.size(); }

    /// Where a `**` may come next it may also be over.
    Positions skip_any(Positions at) const {
        for (std::size_t i = 0; i < parts_.size(); ++i)
            if ((at >> i & 1) != 0 && parts_[i] == "**") at |= Positions{2} << i;
        return at;
    }

    std::vector<std::string> parts_;
    bool takes_folders_ = false;
};

}  // namespace vmette::wire
