#include "manifest/templates.h"

#include <algorithm>

#include "base/text.h"
#include "manifest/shell_scanner.h"

namespace vmette::manifest {
namespace {

constexpr std::string_view kOpen = "{{";
constexpr std::string_view kClose = "}}";
constexpr std::string_view kHint = "(a literal \"{{\" is written \"{{{{\")";

std::string_view trimmed(std::string_view text) {
    std::size_t first = text.find_first_not_of(" \t");
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// How the values of a string are put in.
enum class Manner { plain, shell, path };

/// Reads the templates below a table.
class Compiler {
public:
    explicit Compiler(TemplateContext context) : c_(context) {}

    void walk(Value& value, const Key& key) {
        if (value.is(Value::Kind::string)) {
            compile(value, key, key.shell ? Manner::shell : key.holds_path() ? Manner::path : Manner::plain);
        } else if (value.is(Value::Kind::array)) {
            // The words of an argv are words already.
            for (Value& item : value.items) {
                if (key.kind == Kind::command && item.is(Value::Kind::string))
                    compile(item, key, Manner::plain);
                else
                    walk(item, key);
            }
        } else {
            walk_table(value, key);
        }
    }

private:
    void walk_table(Value& value, const Key& key) {
        for (Entry& entry : value.entries) {
            const Key* child = find_key(key, entry.key);
            if (key.kind == Kind::text_map)
                walk(entry.value, key);
            else if (key.kind == Kind::table_map && entry.value.is(Value::Kind::table))
                walk_table_of_map(entry.value, key);
            else if (child != nullptr && child->kind != Kind::free)
                walk(entry.value, *child);
        }
    }

    void walk_table_of_map(Value& table, const Key& key) {
        for (Entry& entry : table.entries)
            if (const Key* child = find_key(key, entry.key)) walk(entry.value, *child);
    }

    void compile(Value& value, const Key& key, Manner manner) {
        if (value.bad || value.template_id != 0 || value.text.find(kOpen) == value.text.npos) return;
        if (c_.origins[value.place.origin].defaults) return;
        auto made = parse(value);
        if (!made) {
            value.bad = true;
            return;
        }
        bool has_variable =
            std::ranges::any_of(made->parts, [](const auto& part) { return part.variable.has_value(); });
        if (!has_variable) {
            value.text = made->parts.empty() ? "" : made->parts[0].text;
            return;
        }
        if (key.expands) expand_texts(*made, value);
        if (!value.bad && manner == Manner::shell) quote_for_shell(*made, value);
        if (manner == Manner::path && made->parts.size() > 1)
            for (auto& part : made->parts)
                if (part.variable && !part.raw)
                    part.insert = key.local_source ? Insert::source_part : Insert::path_part;
        if (!value.bad) value.template_id = c_.templates.add(*std::move(made));
    }

    /// Neighbouring texts are one part.
    std::optional<Template> parse(const Value& value) {
        Template made{.place = value.place};
        std::string_view rest = value.text;
        auto add_text = [&](std::string_view text) {
            if (text.empty()) return;
            if (made.parts.empty() || made.parts.back().variable) made.parts.push_back({});
            made.parts.back().text += text;
            made.spelling += text;
        };
        for (std::size_t open = rest.find(kOpen); open != rest.npos; open = rest.find(kOpen)) {
            add_text(rest.substr(0, open));
            rest.remove_prefix(open + kOpen.size());
            if (rest.starts_with(kOpen)) {
                add_text(kOpen);
                rest.remove_prefix(kOpen.size());
                continue;
            }
            std::size_t close = rest.find(kClose);
            if (close == rest.npos)
                return complain(value, fmt::format("\"{{{{\" without a closing \"}}}}\" {}", kHint));
            std::string_view inside = trimmed(rest.substr(0, close));
            rest.remove_prefix(close + kClose.size());
            bool raw = inside.starts_with('!');
            if (raw) inside = trimmed(inside.substr(1));
            if (!is_variable_name(inside))
                return complain(value, fmt::format("\"{}\" in {{{{}}}} is not a variable's name {}", inside, kHint));
            made.parts.push_back({.variable = c_.templates.intern(inside), .raw = raw});
            made.spelling += fmt::format("{{{{{}{}}}}}", raw ? "!" : "", inside);
        }
        add_text(rest);
        return made;
    }

    void expand_texts(Template& made, Value& value) {
        for (auto& part : made.parts) {
            if (part.variable) continue;
            Value text;
            text.kind = Value::Kind::string;
            text.place = value.place;
            text.text = std::move(part.text);
            expand_strings(text, Key{}, c_.environment, c_.report);
            part.text = std::move(text.text);
            value.bad = value.bad || text.bad;
        }
    }

    void quote_for_shell(Template& made, Value& value) {
        ShellScanner scanner;
        for (auto& part : made.parts) {
            if (!part.variable) {
                scanner.text(part.text);
                continue;
            }
            auto inside = scanner.value();
            if (part.raw) continue;
            using enum ShellScanner::Inside;
            if (inside == unclear) {
                value.bad = true;
                complain(
                    value,
                    fmt::format("{{{{{0}}}}} stands where no quoting is sure to hold: in a comment, a here-document, "
                                "backquotes, a $( ) within double quotes, or after \\ or $; give it to the command "
                                "in [job.env] or as a word of an argv, or insert it raw: {{{{!{0}}}}}",
                                c_.templates.name(*part.variable)));
                return;
            }
            part.insert = inside == words           ? Insert::shell_word
                          : inside == single_quotes ? Insert::single_quoted
                                                    : Insert::double_quoted;
        }
    }

    std::nullopt_t complain(const Value& value, std::string_view message) {
        c_.report.add_text(value.place, message);
        return std::nullopt;
    }

    TemplateContext c_;
};

/// `value` with `prefix` before each character of `special`.
void append_escaped(std::string& out, std::string_view value, std::string_view special, std::string_view prefix,
                    std::string_view suffix = {}) {
    for (char c : value) {
        bool escapes = special.find(c) != special.npos;
        if (escapes) out += prefix;
        out += c;
        if (escapes) out += suffix;
    }
}

/// What is wrong with a value as the next part of a path or source; empty: nothing.
std::string_view path_problem(std::string_view before, std::string_view value, Insert insert) {
    if (value.empty()) return "is empty";
    // "%2e" is a "." once it is decoded; two values, or the path's text and a value, may make it together.
    bool after_percent =
        before.substr(before.size() - std::min<std::size_t>(before.size(), 2)).find('%') != before.npos;
    if (insert == Insert::source_part && (after_percent || value.find('%') != value.npos))
        return "holds a \"%\" or follows one";
    for (std::size_t start = 0; start <= value.size();) {
        std::size_t end = std::min(value.find('/', start), value.size());
        std::string_view part = value.substr(start, end - start);
        if (part == "." || part == "..") return "holds a part \".\" or \"..\"";
        start = end + 1;
    }
    return {};
}

void append(std::string& out, const std::string& value, Insert insert) {
    switch (insert) {
        case Insert::shell_word:
            out += '\'';
            append_escaped(out, value, "'", "'\\", "'");
            out += '\'';
            break;
        case Insert::single_quoted:
            append_escaped(out, value, "'", "'\\", "'");
            break;
        case Insert::double_quoted:
            append_escaped(out, value, "\\\"$`", "\\");
            break;
        case Insert::plain:
        case Insert::path_part:
        case Insert::source_part:
            out += value;
            break;
    }
}

}  // namespace

std::uint32_t Templates::add(Template made) {
    templates_.push_back(std::move(made));
    return static_cast<std::uint32_t>(templates_.size());
}

VariableId Templates::intern(std::string_view name) {
    auto [found, is_new] = ids_.emplace(name, static_cast<VariableId>(names_.size()));
    if (is_new) names_.push_back(&found->first);
    return found->second;
}

std::optional<VariableId> Templates::find(std::string_view name) const {
    auto found = ids_.find(name);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

bool is_variable_name(std::string_view text) {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    constexpr std::size_t kMaxLength = 128;
    return !text.empty() && text.size() <= kMaxLength && letter(text[0]) && std::ranges::all_of(text, [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
}

void compile_templates(Value& table, const Key& key, TemplateContext context) { Compiler(context).walk(table, key); }

bool has_template(const Value& value) {
    bool found = false;
    for_each_template(value, [&](std::uint32_t) { found = true; });
    return found;
}

std::optional<std::string> Filler::text(const Template& made, std::string& problem) {
    std::string out;
    for (const auto& part : made.parts) {
        if (!part.variable) {
            out += part.text;
            continue;
        }
        const std::string* value = bindings_[*part.variable];
        if (value == nullptr) return std::nullopt;
        if (part.insert == Insert::path_part || part.insert == Insert::source_part) {
            if (auto wrong = path_problem(out, *value, part.insert); !wrong.empty()) {
                problem = fmt::format("{{{{{0}}}}} {1}, in a path of the host; {{{{!{0}}}}} allows it",
                                      templates_.name(*part.variable), wrong);
                return std::nullopt;
            }
        }
        append(out, *value, part.insert);
        if (out.size() > left_) {
            problem = fmt::format("with its values the job has more than {} bytes", kMaxFilledBytes);
            return std::nullopt;
        }
    }
    left_ -= std::min(left_, out.size());
    return out;
}

void Filler::all(Value& value, Report& report) {
    if (value.template_id != 0) {
        std::string problem;
        if (auto filled = text(templates_[value.template_id], problem))
            value.text = *std::move(filled);
        else
            value.bad = true;
        if (!problem.empty()) report.add_text(value.place, problem);
    }
    for (Value& item : value.items) all(item, report);
    for (Entry& entry : value.entries) all(entry.value, report);
}

std::string template_literal(std::string_view text) {
    std::string out;
    for (std::size_t open = text.find(kOpen); open != text.npos; open = text.find(kOpen)) {
        out.append(text.substr(0, open)).append(kOpen).append(kOpen);
        text.remove_prefix(open + kOpen.size());
    }
    return out.append(text);
}

}  // namespace vmette::manifest
