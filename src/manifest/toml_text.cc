#include "manifest/toml_text.h"

#include <algorithm>

namespace vmette::manifest {
namespace {

bool is_bare(std::string_view key) {
    return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

void append_value(const Value& value, std::string& out) {
    switch (value.kind) {
        case Value::Kind::string:
            out += toml_string(value.text);
            break;
        case Value::Kind::integer:
            out += std::to_string(value.number);
            break;
        case Value::Kind::boolean:
            out += value.number != 0 ? "true" : "false";
            break;
        case Value::Kind::floating:
        case Value::Kind::date:
            out += value.text;
            break;
        case Value::Kind::array:
            out += '[';
            for (const Value& item : value.items) {
                if (&item != value.items.data()) out += ", ";
                append_value(item, out);
            }
            out += ']';
            break;
        case Value::Kind::table:
            out += '{';
            for (const Entry& entry : value.entries) {
                out += &entry == value.entries.data() ? " " : ", ";
                out += toml_key(entry.key) + " = ";
                append_value(entry.value, out);
            }
            out += value.entries.empty() ? "}" : " }";
            break;
    }
}

}  // namespace

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (byte < 0x20 || byte == 0x7F)
            out += fmt::format("\\u{:04X}", byte);
        else
            out += c;
    }
    return out += '"';
}

std::string toml_expanded(std::string_view text) {
    std::string doubled;
    for (char c : text) doubled.append(c == '$' ? 2 : 1, c);
    return toml_string(doubled);
}

std::string toml_key(std::string_view key) { return is_bare(key) ? std::string(key) : toml_string(key); }

std::string table_body(const Value& table) {
    std::string out;
    for (const Entry& entry : table.entries) {
        out += toml_key(entry.key) + " = ";
        append_value(entry.value, out);
        out += '\n';
    }
    return out;
}

}  // namespace vmette::manifest
