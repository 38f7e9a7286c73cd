#pragma once
/// The words of complaints about keys and values.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/keys.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

/// "a string", "an integer", "a table"
std::string_view type_name(const Value& value);

/// What a key takes: `a size such as "8G", or a whole number of MiB`.
std::string expected(const Key& key);

/// `limits.memory must be a size …, not a boolean`
std::string wrong_type(const Value& value, const Key& key, std::string_view path);
/// The same for a value that must be a string, with the string that was probably meant.
std::string wrong_text(const Value& value, std::string_view path);
/// `name must be a name: …, not "Foo Bar"`
std::string misfit(std::string_view text, const Key& key, std::string_view path);
/// `rootfs.pull must be one of …, not "allways"; did you mean "always"?`
std::string unknown_choice(std::string_view text, const Key& key, std::string_view path);
/// `unknown key "memroy" in [limits]; did you mean "memory"?` `shown` is empty for the root table.
std::string unknown_key(std::string_view name, const Key& table, std::string_view shown);
/// What is wrong with a size or duration beyond its key's bounds; empty: nothing.
std::string out_of_bounds(std::int64_t number, const Key& key);

/// `; did you mean "x"?`, or nothing. Of very many candidates only the first are looked at.
std::string nearest_hint(std::string_view word, std::span<const std::string_view> candidates);
std::string nearest_hint(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace vmette::manifest
