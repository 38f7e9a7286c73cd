#pragma once
/// The table of every key of a sandbox manifest. The checker, the suggestions, the JSON Schema, the starter manifest
/// and the tests of the documentation all read it; nothing else knows a key's type or bounds.

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace vmette::manifest {

enum class Kind {
    boolean,
    integer,
    text,
    size,       ///< bytes after the check
    duration,   ///< milliseconds after the check
    host_path,  ///< made absolute when it is read
    choice,     ///< the index into `choices` after the check
    command,    ///< a string or an array of strings
    vsock,      ///< "auto", false or a port
    text_list,
    table,
    table_list,  ///< an array of tables; with a short form, of strings too
    text_map,    ///< a table of strings under free names
    table_map,   ///< a table of tables under free names
    free,        ///< a table that is never read
};

/// What a text must look like.
struct TextRule {
    bool (*fits)(std::string_view text);
    std::string_view expects;  ///< "an absolute path in the guest, without '..'"
    std::string_view pattern;  ///< for the JSON Schema: an ECMA 262 expression that refuses no text which fits
};

struct Key {
    std::string_view name;
    Kind kind = Kind::text;
    std::string_view help;           ///< one line, for the starter manifest and the schema
    std::string_view example{};      ///< a TOML value; none for tables
    std::string_view fallback{};     ///< the default: a TOML value; empty: none, or `help` tells it
    const TextRule* rule = nullptr;  ///< of a text, of each text of a list, of the names of a map
    std::span<const std::string_view> choices{};
    std::span<const Key> children{};  ///< of a table, of each table of a list or map
    std::int64_t min = 0;             ///< of integers, sizes and durations
    std::int64_t max = std::numeric_limits<std::int64_t>::max();
    std::int64_t multiple_of = 1;
    bool or_zero = false;              ///< 0 is fine though below `min`
    std::size_t max_items = 1024;      ///< of lists and maps
    std::string_view short_form{};     ///< a value that is no table stands for a table with this key
    std::string_view short_expects{};  ///< what that value looks like, where it is a text of several parts
    bool expands = true;               ///< ${NAME} is replaced in its strings
    bool shell = false;                ///< its strings are shell scripts
    bool local_source = false;         ///< a text that may be, or hold, a path of the host
    bool or_percent = false;           ///< of a size: "75%" is fine too, a share of the host's memory
    bool later = false;                ///< checked, but refused at run time by this version

    bool holds_path() const { return kind == Kind::host_path || local_source; }
};

/// The names of enum values, in the order of the enums in sandbox.h.
extern const std::span<const std::string_view> kPullNames;
extern const std::span<const std::string_view> kShareModeNames;
extern const std::span<const std::string_view> kNetModeNames;
extern const std::span<const std::string_view> kAccelNames;
extern const std::span<const std::string_view> kExposeNames;

/// The root table, as a key without a name. Its children stand in the order of the specification's page.
const Key& sandbox_root();
/// The same of a batch manifest, without the keys of a sandbox that its jobs may have.
const Key& batch_root();

/// The child of that name; null when there is none.
const Key* find_key(const Key& table, std::string_view name);

}  // namespace vmette::manifest
