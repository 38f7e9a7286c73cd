#include "manifest/toml_tree.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <tuple>

#include <toml++/toml.h>

#include "manifest/scan.h"

namespace vmette::manifest {
namespace {

Place place_of(const toml::source_region& region, std::uint32_t origin) {
    return {origin, static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
}

/// The shortest spelling that reads back equal, always one of a float.
std::string float_text(double number) {
    if (std::isnan(number)) return "nan";  // its sign does not survive toml++
    std::string text = fmt::format("{}", number);
    return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

template <typename T>
std::string date_text(const T& value) {
    std::ostringstream out;
    out << value;
    return out.str();
}

/// Copies a toml++ tree, with its complaints about depth and NUL.
class Converter {
public:
    Converter(std::uint32_t origin, Report& report) : origin_(origin), report_(report) {}

    Value convert(const toml::node& node, std::uint32_t depth) {
        Value value;
        value.place = place_of(node.source(), origin_);
        if (depth > kMaxNesting) {
            report_.add(value.place, "nested more than {} levels deep", kMaxNesting);
            value.bad = true;
        } else if (const toml::table* table = node.as_table()) {
            convert_table(*table, depth, value);
        } else if (const toml::array* array = node.as_array()) {
            value.kind = Value::Kind::array;
            value.items.reserve(array->size());
            for (const toml::node& item : *array) value.items.push_back(convert(item, depth + 1));
        } else {
            convert_scalar(node, value);
        }
        return value;
    }

private:
    void convert_table(const toml::table& table, std::uint32_t depth, Value& value) {
        value.kind = Value::Kind::table;
        value.entries.reserve(table.size());
        for (auto&& [key, child] : table) {
            Place place = place_of(key.source(), origin_);
            if (key.str().find('\0') != std::string_view::npos) report_.add(place, "a NUL byte in a key");
            value.entries.push_back({std::string(key.str()), place, convert(child, depth + 1)});
        }
        std::sort(value.entries.begin(), value.entries.end(), [](const Entry& a, const Entry& b) {
            return std::tie(a.key_place.line, a.key_place.column) < std::tie(b.key_place.line, b.key_place.column);
        });
    }

    void convert_scalar(const toml::node& node, Value& value) {
        if (const auto* text = node.as_string()) {
            value.kind = Value::Kind::string;
            value.text = text->get();
            if (value.text.find('\0') != std::string::npos) {
                report_.add(value.place, "a NUL byte in a string");
                value.bad = true;
            }
        } else if (const auto* integer = node.as_integer()) {
            value.kind = Value::Kind::integer;
            value.number = integer->get();
        } else if (const auto* boolean = node.as_boolean()) {
            value.kind = Value::Kind::boolean;
            value.number = boolean->get() ? 1 : 0;
        } else if (const auto* floating = node.as_floating_point()) {
            value.kind = Value::Kind::floating;
            value.text = float_text(floating->get());
        } else {
            value.kind = Value::Kind::date;
            if (const auto* date = node.as_date()) value.text = date_text(date->get());
            if (const auto* time = node.as_time()) value.text = date_text(time->get());
            if (const auto* both = node.as_date_time()) value.text = date_text(both->get());
        }
    }

    std::uint32_t origin_;
    Report& report_;
};

/// Whether the place is the end of its line, where a string that is still open has met the line break.
bool is_line_end(std::string_view text, const toml::source_position& place) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    for (std::uint32_t line = 1; line < place.line && !text.empty(); ++line)
        text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    text = text.substr(0, text.find('\n'));
    if (text.ends_with('\r')) text.remove_suffix(1);
    auto length = std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
    return place.column > length;
}

/// toml++ speaks of "encountered end-of-file" and the like after a fixed opening that says nothing to a user.
std::string syntax_message(const toml::parse_error& error, std::string_view document) {
    std::string_view text = error.description();
    constexpr std::string_view kOpening = "Error while parsing ";
    if (text.starts_with(kOpening)) text.remove_prefix(kOpening.size());
    bool in_string = text.substr(0, text.find(':')).ends_with("string");  // or "literal string"
    bool broken_off = text.find("control characters") != text.npos || text.ends_with("end-of-file");
    if (in_string && broken_off && is_line_end(document, error.source().begin))
        return "not valid TOML: the string is not closed";
    return fmt::format("not valid TOML: {}", text);
}

/// Offset of the first '=' outside of quotes.
std::size_t find_equals(std::string_view argument) {
    char quote = 0;
    for (std::size_t i = 0; i < argument.size(); ++i) {
        char c = argument[i];
        if (quote != 0 ? c == quote : c == '"' || c == '\'')
            quote = quote != 0 ? '\0' : c;
        else if (quote == 0 && c == '=')
            return i;
    }
    return argument.npos;
}

std::optional<toml::table> parse_quietly(const std::string& text) {
    if (scan_text(text)) return std::nullopt;
    try {
        return toml::parse(text);
    } catch (const toml::parse_error&) {
        return std::nullopt;
    }
}

/// `text` as what may stand on the right of a `=`; else as the string it is.
Value parse_set_value(const std::string& text, std::uint32_t origin, Report& report) {
    Value value;
    // A line break would let more than one value in, and a comment is no part of one.
    bool one_value = text.find_first_of("\n#") == text.npos;
    auto document = one_value ? parse_quietly("v = " + text) : std::nullopt;
    if (document && document->size() == 1 && document->contains("v")) {
        value = Converter(origin, report).convert(*document->get("v"), 1);
        bool scalar = !value.is(Value::Kind::table) && !value.is(Value::Kind::array);
        if (scalar && !value.is(Value::Kind::string)) value.typed = text;
    } else {
        value.kind = Value::Kind::string;
        value.text = text;
    }
    value.place = {origin, 1, 1};
    return value;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
    auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.key == key; });
    return found == entries.end() ? nullptr : &found->value;
}

Value* Value::find(std::string_view key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

std::optional<Value> parse_toml(std::string_view text, std::uint32_t origin, Report& report) {
    if (text.size() > kMaxManifestBytes) {
        report.add({origin, 0, 0}, "larger than {} bytes, which is more than a manifest may have", kMaxManifestBytes);
        return std::nullopt;
    }
    if (auto problem = scan_text(text)) {
        report.add_text({origin, problem->line, problem->column}, problem->message);
        return std::nullopt;
    }
    try {
        toml::table document = toml::parse(text);
        return Converter(origin, report).convert(document, 0);
    } catch (const toml::parse_error& error) {
        report.add_text(place_of(error.source(), origin), syntax_message(error, text));
    } catch (const std::exception& error) {
        report.add({origin, 0, 0}, "cannot be parsed: {}", error.what());
    }
    return std::nullopt;
}

std::optional<Value> parse_set(std::string_view argument, std::uint32_t origin, Report& report) {
    Place place{origin, 1, 1};
    std::size_t equals = find_equals(argument);
    if (equals == argument.npos) {
        report.add(place, "expected KEY=VALUE, such as limits.timeout=2s");
        return std::nullopt;
    }
    if (auto problem = scan_encoding(argument)) {
        report.add_text(place, problem->message);
        return std::nullopt;
    }
    std::string key(argument.substr(0, equals));
    auto document = key.find('\n') == key.npos ? parse_quietly(key + " = 0") : std::nullopt;
    std::optional<Value> root;
    if (document) root = Converter(origin, report).convert(*document, 0);
    Value* leaf = root ? &*root : nullptr;
    while (leaf != nullptr && leaf->is(Value::Kind::table))
        leaf = leaf->entries.size() == 1 ? &leaf->entries.front().value : nullptr;
    if (leaf == nullptr || !leaf->is(Value::Kind::integer)) {
        report.add(place, "\"{}\" is not a key, such as limits.timeout", key);
        return std::nullopt;
    }
    *leaf = parse_set_value(std::string(argument.substr(equals + 1)), origin, report);
    return root;
}

}  // namespace vmette::manifest
