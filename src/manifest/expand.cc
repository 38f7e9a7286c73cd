#include "manifest/expand.h"

#include <algorithm>

#include "base/text.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace {

class Expander {
public:
    Expander(const Environment& environment, Report& report) : environment_(environment), report_(report) {}

    void walk(Value& value, const Key& key) {
        if (!key.expands) return;
        if (value.is(Value::Kind::string)) {
            if (!value.bad && value.template_id == 0) expand(value);
        } else if (value.is(Value::Kind::array)) {
            for (Value& item : value.items) walk(item, key);
        } else if (value.is(Value::Kind::table)) {
            walk_table(value, key);
        }
    }

private:
    void walk_table(Value& value, const Key& key) {
        for (Entry& entry : value.entries) {
            if (key.kind == Kind::text_map) {
                walk(entry.value, key);
            } else if (key.kind == Kind::table_map && entry.value.is(Value::Kind::table)) {
                walk_children(entry.value, key);
            } else if (const Key* child = find_key(key, entry.key)) {
                walk(entry.value, *child);
            }
        }
    }

    void walk_children(Value& table, const Key& key) {
        for (Entry& entry : table.entries)
            if (const Key* child = find_key(key, entry.key)) walk(entry.value, *child);
    }

    void expand(Value& value) {
        if (value.text.find('$') == std::string::npos) return;
        std::string out;
        std::string_view rest = value.text;
        for (std::size_t dollar = rest.find('$'); dollar != rest.npos; dollar = rest.find('$')) {
            out += rest.substr(0, dollar);
            rest.remove_prefix(dollar);
            if (rest.starts_with("$$")) {
                out += '$';
                rest.remove_prefix(2);
            } else if (!rest.starts_with("${")) {
                out += '$';
                rest.remove_prefix(1);
            } else if (!append_variable(rest, out, value)) {
                return;
            }
            if (total_ + out.size() > kMaxExpandedBytes) return complain(value, "too large after ${} expansion");
        }
        out += rest;
        total_ += out.size();
        value.text = std::move(out);
    }

    /// Takes "${…}" from `rest`. False: it was reported.
    bool append_variable(std::string_view& rest, std::string& out, Value& value) {
        std::size_t close = rest.find('}');
        if (close == rest.npos)
            return complain(value, "\"${\" without a closing \"}\" (a literal $ is written $$)"), false;
        std::string_view inside = rest.substr(2, close - 2);
        rest.remove_prefix(close + 1);
        std::size_t colon = inside.find(":-");
        std::string name(inside.substr(0, colon));
        if (!kEnvNameRule.fits(name)) {
            complain(value, fmt::format("\"{}\" in ${{}} is not a variable's name (a literal $ is written $$)", name));
            return false;
        }
        std::optional<std::string> found = environment_ ? environment_(name) : std::nullopt;
        // As in a shell, `:-` also stands in for a variable that is set but empty.
        bool use_default = colon != inside.npos && (!found || found->empty());
        if (!found && !use_default) {
            complain(value,
                     fmt::format("the environment variable {0} is not set; ${{{0}:-default}} gives a default", name));
            return false;
        }
        if (found && (!valid_utf8(*found) || found->find('\0') != std::string::npos)) {
            complain(value, fmt::format("the environment variable {} holds bytes that are not text", name));
            return false;
        }
        out += use_default ? inside.substr(colon + 2) : std::string_view(*found);
        return true;
    }

    void complain(Value& value, std::string_view message) {
        value.bad = true;
        report_.add_text(value.place, message);
    }

    const Environment& environment_;
    Report& report_;
    std::size_t total_ = 0;
};

}  // namespace

void expand_strings(Value& table, const Key& key, const Environment& environment, Report& report) {
    Expander(environment, report).walk(table, key);
}

}  // namespace vmette::manifest
