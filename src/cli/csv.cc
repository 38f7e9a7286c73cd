#include "cli/csv.h"

#include <cmath>

#include "base/text.h"
#include "cli/json_writer.h"

namespace vmette::cli {
namespace {

std::string quoted(std::string_view text) {
    bool plain = !text.empty() && text.find_first_of(",\"\r\n") == text.npos;
    if (plain) return std::string(text);
    std::string out = "\"";
    for (char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

/// A number's shortest text that reads back to it; of a text, itself.
std::string plain(const store::SqlValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* whole = std::get_if<std::int64_t>(&value)) return fmt::to_string(*whole);
    if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
    return {};
}

}  // namespace

std::string csv_line(std::span<const store::SqlValue> values) {
    std::string line;
    for (bool first = true; const auto& value : values) {
        if (!first) line += ',';
        first = false;
        line += std::holds_alternative<std::string>(value) ? quoted(std::get<std::string>(value)) : plain(value);
    }
    return line + "\n";
}

std::string csv_line(std::span<const std::string> names) {
    std::string line;
    for (const auto& name : names) line += (line.empty() ? "" : ",") + quoted(name);
    return line + "\n";
}

std::string value_json(const store::SqlValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return json_string(*text);
    const auto* number = std::get_if<double>(&value);
    if (std::holds_alternative<std::monostate>(value) || (number != nullptr && !std::isfinite(*number))) return "null";
    return plain(value);
}

std::string value_text(const store::SqlValue& value) {
    return std::holds_alternative<std::monostate>(value) ? "-" : harmless_line(plain(value));
}

}  // namespace vmette::cli
