#pragma once
/// TOML as it is written: strings, keys and whole values.

#include <string>
#include <string_view>

#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// A basic string; everything that is no printable character is escaped.
std::string toml_string(std::string_view text);
/// The same for a text that is expanded when it is read: each $ becomes $$.
std::string toml_expanded(std::string_view text);
/// Bare where TOML lets it be, else quoted.
std::string toml_key(std::string_view key);
/// The table's entries, a line each, what is nested in them inline. Reading this back gives an equal text.
std::string table_body(const Value& table);

}  // namespace vmette::manifest
