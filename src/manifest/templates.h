#pragma once
/// {{name}} and {{!name}} in the strings of a batch manifest.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "manifest/expand.h"
#include "manifest/keys.h"
#include "manifest/toml_tree.h"

namespace vmette::manifest {

using VariableId = std::uint32_t;

/// What the variables hold for one job, by their id; null: not defined for it. Borrowed.
using Bindings = std::vector<const std::string*>;

/// How a value is put into its string.
enum class Insert : std::uint8_t {
    plain,
    shell_word,     ///< in '…' always: even a plain word can be a keyword, an assignment or a number before ">"
    single_quoted,  ///< inside '…' of a shell script
    double_quoted,  ///< inside "…" of a shell script
    path_part,      ///< of a host path that has other parts: must name something below them
    source_part,    ///< the same of a root filesystem's source, in which %XX is decoded later
};

struct Template {
    struct Part {
        std::string text;                    ///< with `variable` empty
        std::optional<VariableId> variable;  ///< what stands here instead
        bool raw = false;                    ///< {{!name}}
        Insert insert = Insert::plain;
    };
    std::vector<Part> parts;
    std::string spelling;  ///< in one way of writing: no spaces in {{ }}
    Place place;
};

/// All templates of a batch manifest, and the names in them. A Value's template_id counts from 1.
class Templates {
public:
    const Template& operator[](std::uint32_t template_id) const { return templates_[template_id - 1]; }
    std::uint32_t add(Template made);
    VariableId intern(std::string_view name);
    std::optional<VariableId> find(std::string_view name) const;
    const std::string& name(VariableId id) const { return *names_[id]; }
    std::size_t variables() const { return names_.size(); }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    std::vector<Template> templates_;
    std::unordered_map<std::string, VariableId, Hash, std::equal_to<>> ids_;
    std::vector<const std::string*> names_;
};

/// Whether a text can be a variable's name: letters, digits, '_', '-' and '.', the first a letter or '_'.
bool is_variable_name(std::string_view text);

/// What a template of `text` needs to be compiled.
struct TemplateContext {
    Templates& templates;
    const std::vector<Origin>& origins;
    const Environment& environment;
    Report& report;
};

/// Marks every string below `table` that holds a variable with a template, whose own text is expanded from the
/// environment here, so that a value never is. "{{{{" becomes "{{". What the user's defaults and [metadata] say is
/// left alone. Reports what is no template.
void compile_templates(Value& table, const Key& key, TemplateContext context);

/// True when the value or something below it is a template.
bool has_template(const Value& value);

/// Calls `visit(template_id)` for each template in the value and below.
template <typename Visit>
void for_each_template(const Value& value, const Visit& visit) {
    if (value.template_id != 0) visit(value.template_id);
    for (const Value& item : value.items) for_each_template(item, visit);
    for (const Entry& entry : value.entries) for_each_template(entry.value, visit);
}

/// What all strings of one job that values were put into may have together.
constexpr std::size_t kMaxFilledBytes = 4 << 20;

/// Puts one job's values into templates.
class Filler {
public:
    Filler(const Templates& templates, const Bindings& bindings) : templates_(templates), bindings_(bindings) {}

    /// The template's text. Nothing when a variable is not bound (`problem` stays empty) or a value cannot stand where
    /// it is to (`problem` says why).
    std::optional<std::string> text(const Template& made, std::string& problem);

    /// Fills in every template of the value and below. What cannot be is marked `bad`; problems are reported, variables
    /// that are not bound are not.
    void all(Value& value, Report& report);

private:
    const Templates& templates_;
    const Bindings& bindings_;
    std::size_t left_ = kMaxFilledBytes;
};

/// `text` such that reading it as a template gives it back.
std::string template_literal(std::string_view text);

}  // namespace vmette::manifest
