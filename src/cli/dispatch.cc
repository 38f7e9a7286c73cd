#include "cli/dispatch.h"

#include <stdlib.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/log.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/context.h"
#include "cli/help.h"
#include "cli/verbs.h"
#include "scheduler/run.h"

namespace vmette::cli {
namespace {

/// A command line taken apart: which verb, and all words but its name.
struct Words {
    std::string first;
    std::string second;  ///< the word right behind; empty when there is none, or it is a flag
    std::vector<std::string> rest_after_one, rest_after_two;
};

/// Flags before the verb (`vmette -v up`) are moved behind it. Nothing when there is no verb.
std::optional<Words> split(const std::vector<std::string>& words) {
    std::size_t at = 0;
    while (at < words.size() && words[at].starts_with('-')) at += words[at] == "--color" ? 2 : 1;
    if (at >= words.size()) return std::nullopt;
    auto rest_from = [&](std::size_t index) {
        std::vector<std::string> rest(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(at));
        rest.insert(rest.end(), words.begin() + static_cast<std::ptrdiff_t>(index), words.end());
        return rest;
    };
    Words result{.first = words[at], .second = {}, .rest_after_one = rest_from(at + 1), .rest_after_two = {}};
    if (at + 1 < words.size() && !words[at + 1].starts_with('-')) {
        result.second = words[at + 1];
        result.rest_after_two = rest_from(at + 2);
    }
    return result;
}

const Verb* find_verb(std::string_view name) {
    auto verbs = all_verbs();
    auto found = std::find_if(verbs.begin(), verbs.end(), [&](const Verb* verb) { return verb->name == name; });
    return found == verbs.end() ? nullptr : *found;
}

bool is_unavailable(std::string_view name) {
    auto names = unavailable_verbs();
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// The words that may follow `parent` (empty: that may come first).
std::vector<std::string_view> names_below(std::string_view parent) {
    std::vector<std::string_view> result;
    auto add = [&](std::string_view name) {
        if (!parent.empty()) {
            if (!name.starts_with(parent) || name.size() <= parent.size() || name[parent.size()] != ' ') return;
            name.remove_prefix(parent.size() + 1);
        }
        name = name.substr(0, name.find(' '));
        if (std::find(result.begin(), result.end(), name) == result.end()) result.push_back(name);
    };
    for (const Verb* verb : all_verbs()) add(verb->name);
    for (std::string_view name : unavailable_verbs()) add(name);
    return result;
}

int refuse_unavailable(Console& console, std::string_view name) {
    console.error(fmt::format("vmette {} is not available yet", name));
    return scheduler::kExitUsage;
}

/// What other programs call a verb of ours; empty: none that is known.
std::string_view verb_by_habit(std::string_view parent, std::string_view word) {
    constexpr std::array<std::array<std::string_view, 2>, 9> kHabits{
        {{"pull", "image pull"},
         {"images", "image ls"},
         {"rmi", "image rm"},
         {"inspect", "image inspect` or `vmette history show"},
         {"kill", "stop"},
         {"image list", "image ls"},
         {"image remove", "image rm"},
         {"image history", "image inspect"},
         {"attach", "logs -f` or `vmette shell"}}};
    std::string name = parent.empty() ? std::string(word) : fmt::format("{} {}", parent, word);
    auto found = std::ranges::find(kHabits, name, [](const auto& habit) { return habit[0]; });
    return found == kHabits.end() ? "" : (*found)[1];
}

/// `word` is no verb below `parent` (empty: at the top).
int refuse_unknown(Console& console, const std::string& parent, const std::string& word) {
    auto candidates = names_below(parent);
    if (!parent.empty() && word.empty()) {
        console.error(fmt::format("vmette {} needs one of: {}", parent, fmt::join(candidates, ", ")));
        return scheduler::kExitUsage;
    }
    if (auto ours = verb_by_habit(parent, word); !ours.empty()) {
        console.error(fmt::format("unknown verb '{}{}{}'; here it is `vmette {}`", parent, parent.empty() ? "" : " ",
                                  word, ours));
        return scheduler::kExitUsage;
    }
    auto nearest = nearest_name(word, candidates);
    console.error(fmt::format("unknown verb '{}{}{}'{}", parent, parent.empty() ? "" : " ", word,
                              nearest ? fmt::format(" (did you mean {}?)", *nearest) : ""));
    console.note(fmt::format("`vmette {}--help` lists the verbs", parent.empty() ? "" : parent + " "));
    return scheduler::kExitUsage;
}

/// The flags that every verb takes.
struct CommonFlags {
    std::optional<std::string> color;
    bool quiet = false;
    int verbose = 0;

    void define(Arguments& arguments) {
        arguments.option("--color", "WHEN", color, "colours: auto, always or never").choices = {"auto", "always",
                                                                                                "never"};
        arguments.flag("-q,--quiet", quiet, "no progress");
        arguments.count("-v,--verbose", verbose, "say what vmette does; -vv says more");
    }

    void apply(Console& console) const {
        if (color == "always") console.set_color(ColorMode::always);
        if (color == "never") console.set_color(ColorMode::never);
        console.set_quiet(quiet);
    }

    /// Only for a verb that does something: help says nothing about itself.
    void apply_log_level(Console& console) const {
        if (auto name = environment_variable("VMETTE_LOG"); name && !name->empty()) {
            auto level = parse_log_level(*name);
            if (level) set_log_level(*level);
            if (!level) console.warning(fmt::format("VMETTE_LOG={}: it takes off, warn, info or debug", *name));
        }
        if (verbose > 0) set_log_level(verbose == 1 ? LogLevel::info : LogLevel::debug);
    }
};

bool asks_for_help(const std::vector<std::string>& words) {
    return std::any_of(words.begin(), words.end(), [](const auto& word) { return word == "--help" || word == "-h"; });
}

/// Text that was asked for.
int show(Console& console, const std::string& text) {
    auto written = console.write(text);
    if (!written) console.error(written.error().text());
    return written ? 0 : 1;
}

int usage_error(Console& console, const Verb& verb, const Error& error) {
    console.error(fmt::format("vmette {}: {}", verb.name, error.text()));
    console.note(fmt::format("`vmette {} --help` shows how it is used", verb.name));
    return scheduler::kExitUsage;
}

int run_verb(const Verb& verb, const std::vector<std::string>& words, Console& console, const Clock& clock) {
    auto command = verb.make();
    Arguments arguments;
    CommonFlags common;
    command->define(arguments);
    common.define(arguments);
    auto parsed = arguments.parse(words);
    if (!parsed) return usage_error(console, verb, parsed.error());
    common.apply(console);
    if (*parsed == Arguments::Parsed::help) return show(console, render_help(verb, arguments));
    common.apply_log_level(console);
    Context context(console, clock);
    auto code = command->run(context);
    if (code) return *code;
    console.error(code.error().text());
    if (code.error().code == ErrorCode::cancelled) return scheduler::kExitInterrupted;
    bool callers_fault = code.error().code == ErrorCode::bad_input || code.error().code == ErrorCode::unsupported;
    return callers_fault ? int{scheduler::kExitUsage} : verb.failure_code;
}

int show_overview(Console& console, const std::vector<std::string>& flags) {
    if (asks_for_help(flags)) return show(console, render_overview());
    if (flags.empty())
        console.write_err(render_overview());
    else
        console.error(fmt::format("a verb is missing after {}; `vmette --help` lists them", flags.back()));
    return scheduler::kExitUsage;
}

}  // namespace

int run_cli(const std::vector<std::string>& words, Console& console, const Clock& clock) {
    auto parts = split(words);
    if (!parts) {
        if (words.size() == 1 && (words[0] == "--version" || words[0] == "-V"))
            return run_verb(kVersionVerb, {}, console, clock);
        return show_overview(console, words);
    }
    std::string two = parts->first + " " + parts->second;
    if (is_unavailable(two)) return refuse_unavailable(console, two);
    if (is_unavailable(parts->first)) return refuse_unavailable(console, parts->first);
    if (const Verb* verb = find_verb(two)) return run_verb(*verb, parts->rest_after_two, console, clock);
    const Verb* verb = find_verb(parts->first);
    auto below = names_below(parts->first);
    if (verb != nullptr && (below.empty() || parts->second.empty()))
        return run_verb(*verb, parts->rest_after_one, console, clock);
    if (below.empty()) return refuse_unknown(console, "", parts->first);
    bool all_unavailable = std::all_of(below.begin(), below.end(), [&](std::string_view name) {
        return is_unavailable(fmt::format("{} {}", parts->first, name));
    });
    if (all_unavailable) return refuse_unavailable(console, parts->first);
    if (parts->second.empty() && asks_for_help(parts->rest_after_one)) return show(console, render_group(parts->first));
    return refuse_unknown(console, parts->first, parts->second);
}

}  // namespace vmette::cli
