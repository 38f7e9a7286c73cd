#pragma once
/// Values of the database in the formats of the verbs.

#include <span>
#include <string>
#include <string_view>

#include "store/condition.h"

namespace vmette::cli {

/// One line of CSV (RFC 4180, but for its end of "\n"); null is an empty field, an empty text is "".
std::string csv_line(std::span<const store::SqlValue> values);
std::string csv_line(std::span<const std::string> names);
/// As JSON; bytes that are not UTF-8 become U+FFFD, a number that JSON has not becomes null.
std::string value_json(const store::SqlValue& value);
/// One harmless line, null as "-".
std::string value_text(const store::SqlValue& value);

}  // namespace vmette::cli
