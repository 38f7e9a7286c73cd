#include "manifest/check.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"
#include "base/units.h"
#include "manifest/expected.h"
#include "manifest/short_forms.h"

namespace vmette::manifest {
namespace {

/// "HOST:GUEST:MODE" as the table it stands for; every part at the place of the string.
std::optional<Value> share_table(const Value& item) {
    auto parts = split_share(item.text);
    if (!parts) return std::nullopt;
    Value table;
    table.place = item.place;
    auto put = [&](std::string name, std::string_view text) {
        Value part;
        part.kind = Value::Kind::string;
        part.place = item.place;
        part.text = text;
        table.entries.push_back({std::move(name), item.place, std::move(part)});
    };
    put("host", parts->host);
    put("guest", parts->guest);
    if (!parts->mode.empty()) put("mode", parts->mode);
    return table;
}

class Checker {
public:
    explicit Checker(Report& report) : report_(report) {}

    /// `path` is the table's own, empty for the root; `shown` how a message calls it: "[limits]".
    void table(Value& value, const Key& key, const std::string& path, const std::string& shown) {
        for (Entry& entry : value.entries) check_entry(entry, key, path, shown);
    }

    void check_entry(Entry& entry, const Key& key, const std::string& path, const std::string& shown) {
        const Key* child = find_key(key, entry.key);
        if (child == nullptr)
            report_.add_text(entry.key_place, unknown_key(entry.key, key, path.empty() ? "" : shown));
        else if (!entry.value.bad)
            check(entry.value, *child, path.empty() ? entry.key : path + "." + entry.key);
    }

private:
    void check(Value& value, const Key& key, const std::string& path) {
        switch (key.kind) {
            case Kind::boolean:
                scalar_from_template(value);
                return expect(value.is(Value::Kind::boolean), value, key, path);
            case Kind::integer:
                return integer(value, key, path);
            case Kind::text:
            case Kind::host_path:
                return text(value, key, path);
            case Kind::size:
            case Kind::duration:
                return quantity(value, key, path);
            case Kind::choice:
                return choice(value, key, path);
            case Kind::command:
                if (value.is(Value::Kind::array)) return text_list(value, key, path);
                return text(value, key, path);
            case Kind::vsock:
                return vsock(value, key, path);
            case Kind::text_list:
                return text_list(value, key, path);
            case Kind::table:
                if (!value.is(Value::Kind::table)) return mistyped(value, key, path);
                return table(value, key, path, "[" + path + "]");
            case Kind::table_list:
                return table_list(value, key, path);
            case Kind::text_map:
            case Kind::table_map:
                return map(value, key, path);
            case Kind::free:
                return expect(value.is(Value::Kind::table), value, key, path);
        }
    }

    void complain(Value& value, std::string_view message) {
        value.bad = true;
        report_.add_text(value.place, message);
    }

    void mistyped(Value& value, const Key& key, const std::string& path) {
        complain(value, wrong_type(value, key, path));
    }

    void expect(bool good, Value& value, const Key& key, const std::string& path) {
        if (!good) mistyped(value, key, path);
    }

    /// A string, or a scalar of --set, which needs no quotes there.
    bool as_text(Value& value) {
        if (!value.typed.empty()) {
            value.kind = Value::Kind::string;
            value.text = value.typed;
        }
        return value.is(Value::Kind::string);
    }

    /// What a template made may be a number or a boolean where one is wanted.
    void scalar_from_template(Value& value) {
        if (value.template_id == 0 || !value.is(Value::Kind::string)) return;
        if (value.text == "true" || value.text == "false") {
            value.kind = Value::Kind::boolean;
            value.number = value.text == "true" ? 1 : 0;
            return;
        }
        const char* end = value.text.data() + value.text.size();
        std::int64_t number = 0;
        auto [parsed, error] = std::from_chars(value.text.data(), end, number);
        if (error != std::errc{} || parsed != end) return;
        value.kind = Value::Kind::integer;
        value.number = number;
    }

    void text(Value& value, const Key& key, const std::string& path) {
        if (!as_text(value)) return mistyped(value, key, path);
        if ((key.kind == Kind::host_path || key.kind == Kind::command) && value.text.empty())
            return complain(value, fmt::format("{} is empty", path));
        if (key.rule != nullptr && !key.rule->fits(value.text)) complain(value, misfit(value.text, key, path));
    }

    void integer(Value& value, const Key& key, const std::string& path) {
        scalar_from_template(value);
        if (!value.is(Value::Kind::integer)) return mistyped(value, key, path);
        if (value.number < key.min || value.number > key.max)
            complain(value, fmt::format("{} must be {}, not {}", path, expected(key), value.number));
    }

    void quantity(Value& value, const Key& key, const std::string& path) {
        bool is_text = value.is(Value::Kind::string);
        if (!is_text && !value.is(Value::Kind::integer)) return mistyped(value, key, path);
        if (is_text && key.or_percent && value.text.ends_with('%')) return percent(value, path);
        std::string problem;
        if (key.kind == Kind::size) {
            auto bytes = is_text ? parse_size(value.text) : size_from_mib(value.number);
            if (bytes) value.number = static_cast<std::int64_t>(*bytes);
            if (!bytes) problem = bytes.error().message;
        } else {
            auto duration = is_text ? parse_duration(value.text) : duration_from_seconds(value.number);
            if (duration) value.number = duration->count();
            if (!duration) problem = duration.error().message;
        }
        if (problem.empty()) problem = out_of_bounds(value.number, key);
        if (!problem.empty()) complain(value, fmt::format("{}: {}", path, problem));
    }

    void percent(Value& value, const std::string& path) {
        std::string_view digits(value.text.data(), value.text.size() - 1);
        std::int64_t number = 0;
        auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        bool whole = error == std::errc{} && end == digits.data() + digits.size();
        value.number = number;
        if (!whole || number < 1 || number > 100)
            complain(value, fmt::format("{}: \"{}\" is no share from \"1%\" to \"100%\"", path, value.text));
    }

    void choice(Value& value, const Key& key, const std::string& path) {
        if (!value.is(Value::Kind::string)) return mistyped(value, key, path);
        auto found = std::find(key.choices.begin(), key.choices.end(), value.text);
        if (found == key.choices.end()) return complain(value, unknown_choice(value.text, key, path));
        value.number = found - key.choices.begin();
    }

    void vsock(Value& value, const Key& key, const std::string& path) {
        scalar_from_template(value);
        bool automatic = value.is(Value::Kind::string) && value.text == "auto";
        bool off = value.is(Value::Kind::boolean) && value.number == 0;
        bool port = value.is(Value::Kind::integer) && value.number >= key.min && value.number <= key.max;
        if (!automatic && !off && !port) mistyped(value, key, path);
    }

    bool fits_count(Value& value, std::size_t count, const Key& key, const std::string& path) {
        if (count <= key.max_items) return true;
        complain(value, fmt::format("{} has {} entries; at most {} are allowed", path, count, key.max_items));
        return false;
    }

    void text_list(Value& value, const Key& key, const std::string& path) {
        if (!value.is(Value::Kind::array)) return mistyped(value, key, path);
        if (!fits_count(value, value.items.size(), key, path)) return;
        if (key.kind == Kind::command && value.items.empty()) return complain(value, fmt::format("{} is empty", path));
        for (std::size_t i = 0; i < value.items.size(); ++i) {
            Value& item = value.items[i];
            if (item.bad) {
                value.bad = true;
            } else if (!item.is(Value::Kind::string)) {
                complain(item, fmt::format("{}[{}] must be a string, not {}", path, i, type_name(item)));
            } else if (key.rule != nullptr && !key.rule->fits(item.text)) {
                complain(item, misfit(item.text, key, fmt::format("{}[{}]", path, i)));
            }
        }
        if (key.kind == Kind::command && !value.bad && value.items[0].text.empty())
            complain(value.items[0], fmt::format("{}[0] is empty: it is the program to run", path));
    }

    void table_list(Value& value, const Key& key, const std::string& path) {
        if (!value.is(Value::Kind::array)) return mistyped(value, key, path);
        if (!fits_count(value, value.items.size(), key, path)) return;
        for (std::size_t i = 0; i < value.items.size(); ++i) {
            Value& item = value.items[i];
            if (item.bad) continue;
            std::string item_path = fmt::format("{}[{}]", path, i);
            if (!key.short_expects.empty() && item.is(Value::Kind::string)) widen(item, key, item_path);
            if (item.bad) continue;
            if (!item.is(Value::Kind::table))
                complain(item, fmt::format("{} must be {}a table, not {}", item_path,
                                           key.short_expects.empty() ? "" : "a string or ", type_name(item)));
            else
                table(item, key, item_path, "[[" + path + "]]");
        }
    }

    void widen(Value& item, const Key& key, const std::string& path) {
        auto table = share_table(item);
        if (!table) return complain(item, fmt::format("{} must be {}, not \"{}\"", path, key.short_expects, item.text));
        item = *std::move(table);
    }

    void map(Value& value, const Key& key, const std::string& path) {
        if (!value.is(Value::Kind::table)) return mistyped(value, key, path);
        if (!fits_count(value, value.entries.size(), key, path)) return;
        for (Entry& entry : value.entries) {
            if (entry.value.bad) continue;
            if (!key.rule->fits(entry.key)) {
                entry.value.bad = true;
                report_.add(entry.key_place, "{}: \"{}\" is not {}", path, entry.key, key.rule->expects);
                continue;
            }
            std::string entry_path = path + "." + entry.key;
            if (key.kind == Kind::text_map) {
                if (!as_text(entry.value)) complain(entry.value, wrong_text(entry.value, entry_path));
            } else if (!entry.value.is(Value::Kind::table)) {
                complain(entry.value, fmt::format("{} must be a table such as {{ env = \"{}\" }}, not {}", entry_path,
                                                  entry.key, type_name(entry.value)));
            } else {
                table(entry.value, key, entry_path, "[" + entry_path + "]");
            }
        }
    }

    Report& report_;
};

}  // namespace

void check(Value& root, const Key& key, Report& report) { Checker(report).table(root, key, "", ""); }

void check_entry(Entry& entry, const Key& root, Report& report) { Checker(report).check_entry(entry, root, "", ""); }

void widen_template_shares(Value& shares) {
    for (Value& item : shares.items) {
        if (!item.is(Value::Kind::string) || item.text.find("{{") == item.text.npos) continue;
        if (auto table = share_table(item)) item = *std::move(table);
    }
}

}  // namespace vmette::manifest
