#pragma once
/// Conditions on runs as users write them: `duration_ms > 30s and reason != "exited"`. The language: docs/history.md.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"

namespace vmette::store {

struct RunField;

/// monostate: null.
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string>;

/// A condition, checked: its fields exist, and its values are of their kinds. A tree.
struct Condition {
    enum class Kind { all, any, negation, comparison };
    enum class Operator { equal, not_equal, less, at_most, greater, at_least, in, like, glob };

    Kind kind = Kind::comparison;
    std::vector<Condition> parts;  ///< of all, any (two or more) and negation (one)

    const RunField* field = nullptr;  ///< of run_fields(); null: the label
    std::string label;
    Operator op = Operator::equal;
    std::vector<SqlValue> values;  ///< one; of `in` one or more
};

/// What is wrong with a condition's text, and where: bytes of it.
struct ConditionProblem {
    std::string message;
    std::size_t offset = 0;
    std::size_t length = 1;
};

/// `now` is what the word means. Length, depth and the number of values are bounded.
std::expected<Condition, ConditionProblem> parse_condition(std::string_view text, WallTime now);

/// What is around the problem, with carets below it: two lines for people, harmless on a terminal.
std::string show_problem(std::string_view text, const ConditionProblem& problem);

/// As SQL over `runs`; adds its values to `arguments`. Nothing of the text becomes SQL: names come from run_fields().
std::string condition_sql(const Condition& condition, std::vector<SqlValue>& arguments);

}  // namespace vmette::store
