#include <fmt/format.h>

#include "store/condition.h"
#include "store/run_fields.h"

namespace vmette::store {
namespace {

using Operator = Condition::Operator;

std::string_view operator_sql(Operator op) {
    switch (op) {
        case Operator::equal:
            return "=";
        case Operator::not_equal:
            return "IS NOT";
        case Operator::less:
            return "<";
        case Operator::at_most:
            return "<=";
        case Operator::greater:
            return ">";
        case Operator::at_least:
            return ">=";
        case Operator::in:
            return "IN";
        case Operator::like:
            return "LIKE";
        case Operator::glob:
            return "GLOB";
    }
    return "=";
}

std::string comparison_sql(const Condition& made, std::vector<SqlValue>& arguments) {
    std::string left(made.field != nullptr ? made.field->sql : "");
    if (made.field == nullptr) {
        arguments.emplace_back(made.label);
        left = "(SELECT own.value FROM run_labels AS own WHERE own.run = runs.key AND own.label = ?)";
    }
    if (std::holds_alternative<std::monostate>(made.values.front()))
        return left + (made.op == Operator::equal ? " IS NULL" : " IS NOT NULL");
    std::string right;
    for (const SqlValue& value : made.values) {
        arguments.push_back(value);
        right += right.empty() ? "?" : ", ?";
    }
    if (made.op == Operator::in) right = fmt::format("({})", right);
    return fmt::format("{} {} {}", left, operator_sql(made.op), right);
}

}  // namespace

std::string condition_sql(const Condition& condition, std::vector<SqlValue>& arguments) {
    if (condition.kind == Condition::Kind::comparison) return comparison_sql(condition, arguments);
    // What is not known is not so: a comparison with NULL does not hold, and then its negation does.
    if (condition.kind == Condition::Kind::negation)
        return fmt::format("({}) IS NOT TRUE", condition_sql(condition.parts.front(), arguments));
    std::string_view word = condition.kind == Condition::Kind::all ? " AND " : " OR ";
    std::string sql;
    for (const Condition& part : condition.parts)
        sql += fmt::format("{}({})", sql.empty() ? "" : word, condition_sql(part, arguments));
    return sql;
}

}  // namespace vmette::store
