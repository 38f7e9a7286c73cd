#pragma once
/// From TOML files to a validated Sandbox: merge, expand, check, and say everything that is wrong at once.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "manifest/sandbox.h"

namespace vmette::manifest {

/// A manifest file larger than this is refused before it is parsed.
constexpr std::size_t kMaxManifestBytes = 1 << 20;

/// One complaint about one place.
struct Diagnostic {
    std::string file;          ///< as the user named it; "--set limits.timeout=2x" for a flag
    std::uint32_t line = 0;    ///< from 1; 0: no place in a file
    std::uint32_t column = 0;  ///< from 1, in code points
    std::string source_line;   ///< that line, made harmless and cut to the screen; empty: nothing to show
    std::uint32_t caret = 0;   ///< cells of source_line that stand left of the caret
    std::string message;       ///< what is wrong, what was expected, the nearest name
    bool operator==(const Diagnostic&) const = default;
};

/// "file:line:column: error: message", the line, and a caret below the column; all diagnostics, a blank line between.
/// Ends with a newline.
std::string render(const std::vector<Diagnostic>& diagnostics);

/// What the loader is given. Plain values, so that a test needs no environment and no files.
struct LoadRequest {
    /// (name shown to the user, folder that relative paths start from, text), merged left to right.
    struct Source {
        std::string name;
        std::filesystem::path folder;
        std::string text;
        bool defaults_table = false;  ///< a config.toml: only its [defaults] table counts, other tables are not read
        std::vector<Diagnostic> problems = {};  ///< of those other tables, as who reads them said: they count as well
    };
    std::vector<Source> sources;
    std::vector<std::string> set;            ///< "limits.timeout=2s", applied last, in order
    std::filesystem::path set_folder = ".";  ///< where relative paths in `set` start from
    std::function<std::optional<std::string>(const std::string&)> environment;  ///< for ${NAME}
    std::filesystem::path home;                                                 ///< for ~/
    std::vector<std::filesystem::path> forbidden_shares;  ///< state, cache, config and runtime folders
    /// Whether a rootfs source can be meant as it stands; asked only when the host is checked. May be empty.
    std::function<Result<>(const std::string&)> check_rootfs;
    /// Opens what a batch manifest reads beside itself: its sandbox's manifest, its files of jobs. Empty: from the
    /// disk.
    std::function<Result<Fd>(const std::filesystem::path&)> open;
    bool check_host = true;  ///< also check what the manifest names on this host (shares, disks, stdin files exist)
};

/// Reads, merges, validates. On failure every diagnostic there is (at most 100, with a count of the rest), in the order
/// of the sources and of the places in them.
///
/// Merging: tables merge key by key; everything else (strings, numbers, arrays, arrays of tables) is replaced whole. A
/// short form (`rootfs = "x"`, `scratch = "8G"`) counts as a table with that one key.
///
/// An entry of `set` is KEY=VALUE: KEY a dotted TOML key, VALUE a TOML value, or, when it is none, a string as it
/// stands. Where the manifest wants a string, a number, date or boolean in `set` is taken as one.
std::expected<Sandbox, std::vector<Diagnostic>> load(const LoadRequest& request);

/// Reads a file for a LoadRequest ("-" is stdin); too large, missing and unreadable files are errors.
Result<LoadRequest::Source> read_source(const std::filesystem::path& path);

/// The sandbox as a complete, resolved manifest in TOML that load() reads back to an equal value. Deterministic: equal
/// sandboxes give equal text (the manifest's digest is the SHA-256 of this text).
std::string to_toml(const Sandbox& sandbox);

/// The lines of to_toml() as dotted keys and their values ("limits.memory", "\"512M\""), in its order; a table of a
/// list has its number ("artifacts[0].path"). What [metadata] holds is left out.
std::vector<std::pair<std::string, std::string>> flat_keys(const Sandbox& sandbox);
/// The same of a text that to_toml() made, with what [metadata] holds; what is no such text gives what looks like it.
std::vector<std::pair<std::string, std::string>> flat_keys(std::string_view text);

/// The commented manifest that `vmette init` writes; `name` is made to fit.
std::string starter_manifest(std::string_view name);

/// JSON Schema (2020-12) of both manifests, for editors: a document with `job` or `sandbox` is a batch, any other a
/// sandbox. Generated from the same tables of keys that the parser uses.
std::string json_schema();

/// What the manifest asks for and this version does not do yet, one sentence each ("net.mode = \"allowlist\" is not
/// available yet"). Empty: it can be run.
std::vector<std::string> not_available_yet(const Sandbox& sandbox);

}  // namespace vmette::manifest
