#pragma once
/// The words of a condition.

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "store/condition.h"

namespace vmette::store {

struct Token {
    enum class Kind { word, label, number, string, symbol, end };
    Kind kind = Kind::end;
    std::string text;  ///< a string without its quotes, a label without "labels."
    std::size_t offset = 0;
    std::size_t length = 1;
};

/// Ends with one of kind `end`.
std::expected<std::vector<Token>, ConditionProblem> condition_tokens(std::string_view text);

}  // namespace vmette::store
