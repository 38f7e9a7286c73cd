#pragma once
/// The adapter around toml++: a document as a small tree of our own, where every value knows its place.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/diagnostics.h"

namespace vmette::manifest {

struct Entry;

/// One TOML value.
struct Value {
    enum class Kind : std::uint8_t { table, array, string, integer, floating, boolean, date };
    Kind kind = Kind::table;
    bool bad = false;               ///< something was said against it (or in it): not to be read further
    std::uint32_t template_id = 0;  ///< of a string of a batch manifest that holds {{name}}; 0: it does not
    Place place;
    std::string text;            ///< a string's value; a float's or date's TOML spelling
    std::string typed;           ///< of a scalar in --set that is no string: as typed, for keys that want a string
    std::int64_t number = 0;     ///< an integer or boolean; after check(), what the key makes of it (bytes, ms, choice)
    std::vector<Value> items;    ///< of an array
    std::vector<Entry> entries;  ///< of a table, in the order of the file

    const Value* find(std::string_view key) const;
    Value* find(std::string_view key);
    bool is(Kind wanted) const { return kind == wanted; }
};

struct Entry {
    std::string key;
    Place key_place;
    Value value;
};

/// Tables, arrays and dotted keys may stand this deep in one another; toml++ recurses without a bound of its own on
/// dotted keys, so deeper text never reaches it.
constexpr std::uint32_t kMaxNesting = 64;

/// Parses a document; what is wrong goes to the report and nothing comes back. Bytes that are not UTF-8, NUL (escaped
/// too) and deep nesting are errors beside those of the syntax.
std::optional<Value> parse_toml(std::string_view text, std::uint32_t origin, Report& report);

/// The table that a `--set KEY=VALUE` stands for. `argument` is KEY=VALUE.
std::optional<Value> parse_set(std::string_view argument, std::uint32_t origin, Report& report);

}  // namespace vmette::manifest
