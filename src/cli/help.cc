#include "cli/help.h"

#include <algorithm>

namespace vmette::cli {
namespace {

/// Flags longer than this get their help on the next line.
constexpr std::size_t kFlagColumn = 26;

std::string indented(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size());
        out += fmt::format("  {}\n", text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

std::string row(const std::string& heading, const std::string& help) {
    if (heading.size() > kFlagColumn) return fmt::format("  {}\n  {:{}}  {}\n", heading, "", kFlagColumn, help);
    return fmt::format("  {:{}}  {}\n", heading, kFlagColumn, help);
}

std::string verb_row(const Verb& verb) { return row(std::string(verb.name), std::string(verb.summary)); }

}  // namespace

std::string flag_heading(const Argument& argument) {
    auto spellings = argument.spellings();
    std::string heading = fmt::format("{}", fmt::join(spellings, ", "));
    if (!argument.value_name.empty()) heading += " " + argument.value_name;
    return heading;
}

std::string usage_line(const Verb& verb, const Arguments& arguments) {
    std::string line = fmt::format("vmette {} [flags]", verb.name);
    for (const auto& argument : arguments.all()) {
        if (!argument.is_operand()) continue;
        std::string word = argument.names + (argument.is_list() ? "..." : "");
        line += argument.required ? " " + word : " [" + word + "]";
    }
    if (arguments.takes_command()) line += " [-- CMD...]";
    return line;
}

std::string render_help(const Verb& verb, const Arguments& arguments) {
    std::string out = fmt::format("vmette {}: {}\n\nusage: {}\n", verb.name, verb.summary, usage_line(verb, arguments));
    if (!verb.description.empty()) out += fmt::format("\n{}\n", verb.description);
    out += "\narguments and flags:\n";
    for (const auto& argument : arguments.all())
        if (argument.is_operand()) out += row(argument.names, argument.help);
    for (const auto& argument : arguments.all())
        if (!argument.is_operand()) out += row(flag_heading(argument), argument.help);
    out += row("-h, --help", "this text");
    auto below = verbs_below(verb.name);
    if (!below.empty()) out += "\nverbs of its own:\n";
    for (const Verb* one : below) out += verb_row(*one);
    out += fmt::format("\nexample:\n{}\nexit codes:\n{}", indented(verb.example), indented(verb.exit_codes));
    return out;
}

std::string render_group(std::string_view parent) {
    std::string out = fmt::format("usage: vmette {} VERB [flags] ...\n\nverbs:\n", parent);
    for (const Verb* verb : verbs_below(parent)) out += verb_row(*verb);
    out += fmt::format("\n`vmette {} VERB --help` shows one in full.\n", parent);
    return out;
}

std::string render_overview() {
    std::string out =
        "vmette runs untrusted jobs in throw-away Linux microVMs, from a TOML manifest.\n\n"
        "usage: vmette VERB [flags] ...\n\nverbs:\n";
    for (const Verb* verb : all_verbs()) out += verb_row(*verb);
    out += "\n`vmette VERB --help` shows one in full. `vmette doctor` says what this host can do.\n";
    return out;
}

}  // namespace vmette::cli
