#pragma once
/// JSON documents of the verbs, written in the order their fields are given.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vmette::cli {

/// A JSON string literal; bytes that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

/// One object, field by field.
class JsonObject {
public:
    JsonObject& text(std::string_view key, std::string_view value);
    /// An empty text is null.
    JsonObject& text_or_null(std::string_view key, std::string_view value);
    JsonObject& number(std::string_view key, std::uint64_t value);
    JsonObject& boolean(std::string_view key, bool value);
    /// A value that is JSON already.
    JsonObject& raw(std::string_view key, std::string json);
    JsonObject& texts(std::string_view key, const std::vector<std::string>& values);
    /// Two-space indentation when `pretty`, else one line.
    std::string render(bool pretty = true) const;

private:
    std::vector<std::pair<std::string, std::string>> fields_;
};

/// An array of values that are JSON already, one a line.
std::string json_array(const std::vector<std::string>& values);

}  // namespace vmette::cli
