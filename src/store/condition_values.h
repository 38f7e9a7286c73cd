#pragma once
/// The values in a condition, by the kind of the field that they are compared with.

#include "store/condition_tokens.h"
#include "store/run_fields.h"

namespace vmette::store {

/// Of a number or a string; a field of text takes strings alone.
std::expected<SqlValue, ConditionProblem> condition_value(const Token& token, FieldKind kind, std::string_view field);
/// "7d", "12h", "90m", "30s", "500ms": milliseconds.
std::expected<std::int64_t, ConditionProblem> condition_duration(const Token& token);

}  // namespace vmette::store
