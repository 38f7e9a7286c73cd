#pragma once
/// Small helpers for text that people read.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace vmette {

/// The candidate nearest to `word` by edit distance (Damerau-Levenshtein), if it is near enough to be meant.
std::optional<std::string_view> nearest_name(std::string_view word, std::span<const std::string_view> candidates);

/// `text` with every control character (C0 but newline and tab, DEL, C1) and every byte that is not valid UTF-8
/// written as \xNN, so that showing it cannot move a cursor or set a title.
std::string harmless(std::string_view text);
/// The same on one line: newlines and tabs are escaped too, and what is beyond `limit` bytes is cut with "…".
std::string harmless_line(std::string_view text, std::size_t limit = 400);

/// JSON with the same characters in its texts (those that JSON itself lets stand: DEL, C1, turners of direction) as its
/// own escapes, \u009b: equal for a program, harmless to a terminal.
std::string harmless_json(std::string_view json);

/// True when the text is well-formed UTF-8.
bool valid_utf8(std::string_view text);
/// For each byte sequence of `text` that is not well-formed UTF-8, U+FFFD in its place: fit for JSON and SQLite.
std::string to_valid_utf8(std::string_view text);

/// Quotes one word for /bin/sh, only when it needs it.
std::string shell_quote(std::string_view word);

/// True when `text` matches the shell glob (`*`, `?`, `[...]`); case-sensitive.
bool glob_match(const std::string& pattern, const std::string& text);

}  // namespace vmette
