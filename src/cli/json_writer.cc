#include "cli/json_writer.h"

#include <fmt/format.h>

#include "base/text.h"

namespace vmette::cli {
namespace {

/// A nested value of several lines, moved to the right.
std::string shifted(std::string_view json) {
    std::string out;
    for (char c : json) {
        out += c;
        if (c == '\n') out += "  ";
    }
    return out;
}

}  // namespace

std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (char c : to_valid_utf8(text)) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += {'\\', c};
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (byte < 0x20)
            out += fmt::format("\\u{:04x}", byte);
        else
            out += c;
    }
    return harmless_json(out + "\"");
}

JsonObject& JsonObject::text(std::string_view key, std::string_view value) { return raw(key, json_string(value)); }

JsonObject& JsonObject::text_or_null(std::string_view key, std::string_view value) {
    return raw(key, value.empty() ? "null" : json_string(value));
}

JsonObject& JsonObject::number(std::string_view key, std::uint64_t value) { return raw(key, fmt::to_string(value)); }

JsonObject& JsonObject::boolean(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }

JsonObject& JsonObject::raw(std::string_view key, std::string json) {
    fields_.emplace_back(json_string(key), std::move(json));
    return *this;
}

JsonObject& JsonObject::texts(std::string_view key, const std::vector<std::string>& values) {
    std::vector<std::string> quoted;
    quoted.reserve(values.size());
    for (const auto& value : values) quoted.push_back(json_string(value));
    return raw(key, fmt::format("[{}]", fmt::join(quoted, ", ")));
}

std::string JsonObject::render(bool pretty) const {
    if (fields_.empty()) return "{}";
    std::string out = "{";
    bool first = true;
    for (const auto& [key, value] : fields_) {
        if (!first) out += pretty ? "," : ", ";
        first = false;
        out += pretty ? fmt::format("\n  {}: {}", key, shifted(value)) : fmt::format("{}: {}", key, value);
    }
    return out + (pretty ? "\n}" : "}");
}

std::string json_array(const std::vector<std::string>& values) {
    if (values.empty()) return "[]";
    std::vector<std::string> moved;
    moved.reserve(values.size());
    for (const auto& value : values) moved.push_back(shifted(value));
    return fmt::format("[\n  {}\n]", fmt::join(moved, ",\n  "));
}

}  // namespace vmette::cli
