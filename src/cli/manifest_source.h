#pragma once
/// From files and flags to a validated sandbox: what up, run, validate and plan share.

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/context.h"
#include "manifest/load.h"

namespace vmette::cli {

/// What a command line says about the manifest.
struct ManifestFlags {
    std::vector<std::string> files;
    std::vector<std::string> set;
    std::vector<std::string> env;      ///< "K=V", or "K" alone: taken from the environment
    std::vector<std::string> command;  ///< after `--`: takes the place of `exec`

    /// FILE..., --set, --env and the command.
    void define(Arguments& arguments);
};

/// The user's defaults, the files and the flags, in order of precedence; nothing is checked yet. Errors are
/// `bad_input`: a file that cannot be read, an --env that is no assignment or not in the environment.
Result<manifest::LoadRequest> manifest_request(Context& context, const ManifestFlags& flags);

/// The same for a manifest that is not in a file. Relative paths start from the working directory.
Result<manifest::LoadRequest> manifest_request(Context& context, const std::string& name, const std::string& text);

/// Loads; on failure says every diagnostic on stderr and returns nothing.
std::optional<manifest::Sandbox> load_or_report(Context& context, const manifest::LoadRequest& request);

/// For verbs that read config.toml and no manifest: false when something in it is wrong, which is said on stderr.
Result<bool> check_settings_or_report(Context& context);

/// "[env]" lines as TOML, values literal. `bad_input` as above.
Result<std::string> env_table(const std::vector<std::string>& assignments);

/// `bad_input` when a word cannot stand in a manifest because it is not UTF-8.
Result<> check_utf8(const std::vector<std::string>& words, std::string_view what);

}  // namespace vmette::cli
