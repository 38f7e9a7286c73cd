#include "manifest/expected.h"

#include <algorithm>
#include <vector>

#include <fmt/ranges.h>

#include "base/text.h"
#include "base/units.h"

namespace vmette::manifest {
namespace {

constexpr std::size_t kMaxEcho = 80;  ///< bytes of a wrong text that a message repeats

std::string in_quotes(std::string_view text) { return "\"" + harmless_line(text, kMaxEcho) + "\""; }

std::string choices(const Key& key) {
    std::vector<std::string> names;
    for (std::string_view choice : key.choices) names.push_back(in_quotes(choice));
    return fmt::format("{}", fmt::join(names, ", "));
}

std::string shown_number(std::int64_t number, const Key& key) {
    if (key.kind == Kind::duration) return format_duration(Duration(number));
    return number < static_cast<std::int64_t>(kKiB) ? std::to_string(number)
                                                    : format_size(static_cast<std::uint64_t>(number));
}

/// "limits.memory" for "memory", when just one table of the root has a key of that name.
std::string elsewhere(std::string_view name) {
    std::string found;
    for (const Key& section : sandbox_root().children) {
        if (section.kind != Kind::table || find_key(section, name) == nullptr) continue;
        if (!found.empty()) return {};
        found = fmt::format("{}.{}", section.name, name);
    }
    return found;
}

}  // namespace

std::string_view type_name(const Value& value) {
    switch (value.kind) {
        case Value::Kind::table:
            return "a table";
        case Value::Kind::array:
            return "an array";
        case Value::Kind::string:
            return "a string";
        case Value::Kind::integer:
            return "an integer";
        case Value::Kind::floating:
            return "a float";
        case Value::Kind::boolean:
            return "a boolean";
        case Value::Kind::date:
            return "a date or time";
    }
    return "a value";
}

std::string expected(const Key& key) {
    switch (key.kind) {
        case Kind::boolean:
            return "true or false";
        case Kind::integer:
            if (key.min == key.max) return std::to_string(key.min);
            return fmt::format("a whole number from {} to {}", key.min, key.max);
        case Kind::text:
            return "a string";
        case Kind::host_path:
            return "a path";
        case Kind::size:
            if (key.or_percent) return "a size such as \"8G\", a share such as \"75%\", or a whole number of MiB";
            return "a size such as \"8G\", or a whole number of MiB";
        case Kind::duration:
            return "a duration such as \"30s\", or a whole number of seconds";
        case Kind::choice:
            return "one of " + choices(key);
        case Kind::command:
            return "a string or an array of strings";
        case Kind::vsock:
            return "\"auto\", false or a port number";
        case Kind::text_list:
            return "an array of strings";
        case Kind::table_list:
            return key.short_expects.empty() ? "an array of tables" : "an array of strings or tables";
        case Kind::text_map:
            return "a table of strings";
        case Kind::table_map:
            return "a table of tables";
        case Kind::table:
        case Kind::free:
            return "a table";
    }
    return {};
}

std::string wrong_type(const Value& value, const Key& key, std::string_view path) {
    std::string got = value.is(Value::Kind::string) ? in_quotes(value.text) : std::string(type_name(value));
    if (value.is(Value::Kind::integer) && (key.kind == Kind::vsock || key.kind == Kind::integer))
        got = std::to_string(value.number);
    return fmt::format("{} must be {}, not {}", path, expected(key), got);
}

std::string wrong_text(const Value& value, std::string_view path) {
    std::string meant;
    if (value.is(Value::Kind::integer)) meant = std::to_string(value.number);
    if (value.is(Value::Kind::boolean)) meant = value.number != 0 ? "true" : "false";
    if (value.is(Value::Kind::floating) || value.is(Value::Kind::date)) meant = value.text;
    std::string hint = meant.empty() ? "" : fmt::format("; write \"{}\"", meant);
    return fmt::format("{} must be a string, not {}{}", path, type_name(value), hint);
}

std::string misfit(std::string_view text, const Key& key, std::string_view path) {
    return fmt::format("{} must be {}, not {}", path, key.rule->expects, in_quotes(text));
}

std::string unknown_choice(std::string_view text, const Key& key, std::string_view path) {
    auto near = nearest_name(text, key.choices);
    std::string hint = near ? fmt::format("; did you mean \"{}\"?", *near) : "";
    return fmt::format("{} must be one of {}, not {}{}", path, choices(key), in_quotes(text), hint);
}

std::string unknown_key(std::string_view name, const Key& table, std::string_view shown) {
    std::vector<std::string_view> names;
    for (const Key& key : table.children) names.push_back(key.name);
    std::string where = shown.empty() ? "" : fmt::format(" in {}", shown);
    std::string hint;
    if (auto near = nearest_name(name, names))
        hint = *near;
    else
        hint = elsewhere(name);
    if (!hint.empty()) hint = fmt::format("; did you mean \"{}\"?", hint);
    return fmt::format("unknown key {}{}{}", in_quotes(name), where, hint);
}

std::string out_of_bounds(std::int64_t number, const Key& key) {
    if (number == 0 && key.or_zero) return {};
    if (number < key.min && key.min == 1) return "must be more than 0";
    if (number < key.min)
        return fmt::format("{} is less than {}{}", shown_number(number, key), shown_number(key.min, key),
                           key.or_zero ? " (0 is allowed)" : "");
    if (number > key.max)
        return fmt::format("{} is more than {}", shown_number(number, key), shown_number(key.max, key));
    if (number % key.multiple_of != 0)
        return fmt::format("{} is not a multiple of {}", shown_number(number, key), shown_number(key.multiple_of, key));
    return {};
}

std::string nearest_hint(std::string_view word, std::span<const std::string_view> candidates) {
    constexpr std::size_t kLookedAt = 2000;  // enough for who writes names by hand
    auto near = nearest_name(word, candidates.first(std::min(candidates.size(), kLookedAt)));
    return near ? fmt::format("; did you mean \"{}\"?", *near) : "";
}

std::string nearest_hint(std::string_view word, const std::vector<std::string>& candidates) {
    std::vector<std::string_view> views(candidates.begin(), candidates.end());
    return nearest_hint(word, views);
}

}  // namespace vmette::manifest
