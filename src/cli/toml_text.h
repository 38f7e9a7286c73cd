#pragma once
/// Pieces of TOML text, for manifests that flags stand for.

#include <string>
#include <string_view>
#include <vector>

namespace vmette::cli {

/// A basic string, exactly this text. Requires valid UTF-8.
std::string toml_string(std::string_view text);
/// The same where the manifest would expand ${NAME}: a `$` stays a `$`.
std::string toml_literal(std::string_view text);
/// A key, quoted when it must be.
std::string toml_key(std::string_view key);
/// An array of toml_string().
std::string toml_argv(const std::vector<std::string>& words);

}  // namespace vmette::cli
