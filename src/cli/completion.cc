#include "cli/completion.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cli/verbs.h"

namespace vmette::cli {
namespace {

/// One verb as a completion sees it.
struct Entry {
    const Verb* verb;
    std::unique_ptr<Command> command;  ///< owns what the arguments point into
    Arguments arguments;
};

std::vector<Entry> entries() {
    std::vector<Entry> result;
    for (const Verb* verb : all_verbs()) {
        Entry entry{verb, verb->make(), {}};
        entry.command->define(entry.arguments);
        result.push_back(std::move(entry));
    }
    return result;
}

/// "history show" → "history", the word after `vmette`.
std::string first_word(std::string_view name) { return std::string(name.substr(0, name.find(' '))); }

/// Words that may follow `parent` (empty: that may come first), each once.
std::vector<std::string> words_below(const std::vector<Entry>& all, std::string_view parent) {
    std::vector<std::string> words;
    for (const auto& entry : all) {
        std::string_view name = entry.verb->name;
        if (!parent.empty()) {
            if (!name.starts_with(std::string(parent) + " ")) continue;
            name.remove_prefix(parent.size() + 1);
        }
        std::string word = first_word(name);
        if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
    }
    return words;
}

std::vector<std::string> flags_of(const Arguments& arguments) {
    std::vector<std::string> flags;
    for (const auto& argument : arguments.all()) {
        if (argument.is_operand()) continue;
        for (auto& spelling : argument.spellings()) flags.push_back(spelling);
    }
    for (const char* common : {"--color", "--quiet", "--verbose", "--help"}) flags.emplace_back(common);
    return flags;
}

/// What prints names of that kind, one a line, for a shell that completes one.
std::string_view lister_of(Completes kind) {
    switch (kind) {
        case Completes::images:
            return "image ls --names";
        case Completes::runs:
            return "history --names";
        case Completes::batches:
            return "batch ls --names";
        default:
            return "";
    }
}

/// What the operands of a verb complete to: words of a choice, verbs, files, names that a verb lists, or nothing.
struct Operands {
    std::vector<std::string> words;
    bool verbs = false;
    bool files = false;
    std::string_view lister;
};

Operands operands_of(const std::vector<Entry>& all, const Entry& entry) {
    Operands result{.words = {}, .files = entry.arguments.takes_command()};
    for (const auto& argument : entry.arguments.all()) {
        if (!argument.is_operand()) continue;
        result.words.insert(result.words.end(), argument.choices.begin(), argument.choices.end());
        result.verbs = result.verbs || argument.completes == Completes::verbs;
        result.files = result.files || argument.completes == Completes::files;
        if (auto lister = lister_of(argument.completes); !lister.empty()) result.lister = lister;
    }
    auto below = words_below(all, result.verbs ? "" : entry.verb->name);
    result.words.insert(result.words.end(), below.begin(), below.end());
    return result;
}

/// Branches of a `case` on the word before: a flag's value is one of its choices, which stand between `before` and
/// `after`, or nothing that can be known; where operands are files, it may be one too.
std::string value_cases(const Entry& entry, bool files, std::string_view before, std::string_view after) {
    std::string values;
    for (const auto& argument : entry.arguments.all()) {
        if (argument.is_operand() || argument.is_switch() || (files && argument.choices.empty())) continue;
        std::string offer =
            argument.choices.empty() ? "" : fmt::format("{}{}{}; ", before, fmt::join(argument.choices, " "), after);
        values += fmt::format("                {}) {}return ;;\n", fmt::join(argument.spellings(), "|"), offer);
    }
    return values;
}

std::string bash_case(const std::vector<Entry>& all, const Entry& entry) {
    auto [words, verbs, files, lister] = operands_of(all, entry);
    std::string values = value_cases(entry, files, "COMPREPLY=($(compgen -W '", "' -- \"$cur\"))");
    std::string out = fmt::format("        '{}')\n", entry.verb->name);
    if (!values.empty()) out += fmt::format("            case \"$prev\" in\n{}            esac\n", values);
    out += fmt::format(
        "            flags='{}'\n            words='{}'\n            files={} lister='{}'\n            ;;\n",
        fmt::join(flags_of(entry.arguments), " "), fmt::join(words, " "), files ? 1 : 0, lister);
    return out;
}

/// A word in a zsh or fish description: quotes and brackets would end it.
std::string plain(std::string_view text) {
    std::string out;
    for (char c : text) out += c == '\'' || c == '[' || c == ']' || c == ':' || c == '\\' ? ' ' : c;
    return out;
}

}  // namespace

std::string bash_completion() {
    auto all = entries();
    std::set<std::string> parents;
    for (const auto& entry : all)
        if (entry.verb->name.find(' ') != entry.verb->name.npos) parents.insert(first_word(entry.verb->name));
    std::string cases;
    for (const auto& entry : all) cases += bash_case(all, entry);
    for (const auto& parent : parents) {
        bool is_verb =
            std::any_of(all.begin(), all.end(), [&](const auto& entry) { return entry.verb->name == parent; });
        if (!is_verb)
            cases += fmt::format("        '{}')\n            words='{}'\n            ;;\n", parent,
                                 fmt::join(words_below(all, parent), " "));
    }
    std::string two_words;
    for (const auto& entry : all)
        if (entry.verb->name.find(' ') != entry.verb->name.npos) two_words += fmt::format("|'{}'", entry.verb->name);
    return fmt::format(R"(# bash completion of vmette; made by `vmette completion bash`
_vmette() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
    local at=1 verb flags='' words='' files=0 lister=''
    COMPREPLY=()
    # `--flag=value` comes as three words.
    if [[ $cur == = ]]; then
        cur=''
    elif [[ $prev == = ]]; then
        prev=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    if [[ $prev == --color ]]; then
        COMPREPLY=($(compgen -W 'auto always never' -- "$cur"))
        return
    fi
    while [[ $at -lt $COMP_CWORD && ${{COMP_WORDS[at]}} == -* ]]; do
        if [[ ${{COMP_WORDS[at]}} == --color ]]; then
            at=$((at + 1))
            if [[ ${{COMP_WORDS[at]}} == = ]]; then at=$((at + 1)); fi
        fi
        at=$((at + 1))
    done
    if [[ $at -ge $COMP_CWORD ]]; then
        COMPREPLY=($(compgen -W '{} --color --quiet --verbose --help --version' -- "$cur"))
        return
    fi
    verb=${{COMP_WORDS[at]}}
    if [[ $COMP_CWORD -gt $((at + 1)) ]]; then
        case "$verb ${{COMP_WORDS[at+1]}}" in
            {}) verb="$verb ${{COMP_WORDS[at+1]}}" ;;
        esac
    fi
    case "$verb" in
{}    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$cur"))
        return
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ $files -eq 1 ]]; then
        COMPREPLY+=($(compgen -f -- "$cur"))
    fi
    if [[ -n $lister ]]; then
        # A name holds colons, at which bash has split it: what is before the last one stays as it was typed.
        local typed=${{COMP_LINE:0:${{COMP_POINT:-0}}}} name
        typed=${{typed##*[[:space:]]}}
        typed=${{typed:-$cur}}
        while IFS= read -r name; do
            if [[ $name == "$typed"* ]]; then
                COMPREPLY+=("${{name#"${{typed%"${{typed##*[:=]}}"}}"}}")
                # Its colons and slashes are not those of a path.
                compopt +o filenames 2>/dev/null
            fi
        done < <("${{COMP_WORDS[0]}}" $lister 2>/dev/null)
    fi
}}
complete -o filenames -F _vmette vmette
)",
                       fmt::join(words_below(all, ""), " "), two_words.substr(1), cases);
}

std::string zsh_completion() {
    auto all = entries();
    std::string verbs;
    for (const auto& word : words_below(all, "")) {
        auto named = std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.verb->name == word; });
        verbs +=
            fmt::format("        '{}:{}'\n", word, named != all.end() ? plain(named->verb->summary) : word + " ...");
    }
    std::string cases;
    for (const auto& entry : all) {
        auto [words, verbs_follow, files, lister] = operands_of(all, entry);
        cases += fmt::format("        '{}')\n", entry.verb->name);
        std::string values = value_cases(entry, files, "compadd -- ", "");
        if (!values.empty())
            cases += fmt::format("            case \"$words[CURRENT-1]\" in\n{}            esac\n", values);
        cases += fmt::format("            compadd -- {}\n", fmt::join(flags_of(entry.arguments), " "));
        if (verbs_follow)
            cases += "            _describe 'verb' verbs\n";
        else if (!words.empty())
            cases += fmt::format("            compadd -- {}\n", fmt::join(words, " "));
        if (!lister.empty())
            cases += fmt::format("            compadd -- ${{(f)\"$($words[1] {} 2>/dev/null)\"}}\n", lister);
        if (files) cases += "            _files\n";
        cases += "            ;;\n";
    }
    for (const auto& word : words_below(all, "")) {
        bool is_verb = std::any_of(all.begin(), all.end(), [&](const auto& entry) { return entry.verb->name == word; });
        if (!is_verb)
            cases += fmt::format("        '{}')\n            compadd -- {}\n            ;;\n", word,
                                 fmt::join(words_below(all, word), " "));
    }
    std::string two_words;
    for (const auto& entry : all)
        if (entry.verb->name.find(' ') != entry.verb->name.npos) two_words += fmt::format("|'{}'", entry.verb->name);
    return fmt::format(R"(#compdef vmette
# zsh completion of vmette; made by `vmette completion zsh`
_vmette() {{
    local -a verbs
    verbs=(
{}    )
    if [[ $words[CURRENT-1] == --color ]]; then
        compadd -- auto always never
        return
    fi
    local at=2
    while (( at < CURRENT )) && [[ $words[at] == -* ]]; do
        if [[ $words[at] == --color ]]; then at=$((at + 1)); fi
        at=$((at + 1))
    done
    if (( at >= CURRENT )); then
        _describe 'verb' verbs
        compadd -- --color --quiet --verbose --help --version
        return
    fi
    local verb=$words[at]
    if (( CURRENT > at + 1 )); then
        case "$verb $words[at+1]" in
            {}) verb="$verb $words[at+1]" ;;
        esac
    fi
    case "$verb" in
{}    esac
}}
compdef _vmette vmette
)",
                       verbs, two_words.substr(1), cases);
}

std::string fish_completion() {
    auto all = entries();
    std::string out = "# fish completion of vmette; made by `vmette completion fish`\ncomplete -c vmette -f\n";
    out +=
        "complete -c vmette -l color -x -a 'auto always never' -d 'colours'\n"
        "complete -c vmette -s q -l quiet -d 'no progress'\n"
        "complete -c vmette -s v -l verbose -d 'say what vmette does'\n"
        "complete -c vmette -s h -l help -d 'how it is used'\n";
    for (const auto& entry : all) {
        std::string name(entry.verb->name);
        auto space = name.find(' ');
        std::string first = first_word(name);
        if (space == name.npos) {
            out += fmt::format("complete -c vmette -n __fish_use_subcommand -a {} -d '{}'\n", name,
                               plain(entry.verb->summary));
        } else {
            out += fmt::format("complete -c vmette -n __fish_use_subcommand -a {}\n", first);
            out += fmt::format("complete -c vmette -n '__fish_seen_subcommand_from {}' -a {} -d '{}'\n", first,
                               name.substr(space + 1), plain(entry.verb->summary));
        }
        std::string seen = fmt::format("__fish_seen_subcommand_from {}", first);
        if (space != name.npos) seen += fmt::format("; and __fish_seen_subcommand_from {}", name.substr(space + 1));
        auto [words, verbs, files, lister] = operands_of(all, entry);
        for (const auto& argument : entry.arguments.all()) {
            if (argument.is_operand()) continue;
            std::string_view value = argument.is_switch() ? "" : files && argument.choices.empty() ? " -r" : " -x";
            std::string choices =
                argument.choices.empty() ? "" : fmt::format(" -a '{}'", fmt::join(argument.choices, " "));
            for (const auto& spelling : argument.spellings()) {
                bool is_long = spelling.starts_with("--");
                out += fmt::format("complete -c vmette -n '{}' -{} {}{}{} -d '{}'\n", seen, is_long ? "l" : "s",
                                   spelling.substr(is_long ? 2 : 1), value, choices, plain(argument.help));
            }
        }
        if (!words.empty()) out += fmt::format("complete -c vmette -n '{}' -a '{}'\n", seen, fmt::join(words, " "));
        if (!lister.empty())
            out += fmt::format("complete -c vmette -n '{}' -a '(command vmette {} 2>/dev/null)'\n", seen, lister);
        if (files) out += fmt::format("complete -c vmette -n '{}' -F\n", seen);
    }
    return out;
}

}  // namespace vmette::cli
