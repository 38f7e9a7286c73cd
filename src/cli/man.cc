#include "cli/man.h"

#include "cli/help.h"

namespace vmette::cli {
namespace {

/// Text that troff takes literally: no request at a line's start, no escape, hyphens that can be copied.
std::string troff(std::string_view text) {
    std::string out;
    bool line_start = true;
    for (char c : text) {
        if (line_start && (c == '.' || c == '\'')) out += "\\&";
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
        line_start = c == '\n';
    }
    return out;
}

std::string dashed(std::string_view name) {
    std::string out(name);
    for (char& c : out)
        if (c == ' ') c = '-';
    return out;
}

std::string heading(std::string_view page) {
    return fmt::format(".TH {} 1 \"\" \"vmette {}\" \"vmette\"\n.nh\n", dashed(page), VMETTE_VERSION);
}

}  // namespace

std::string man_page(const Verb& verb) {
    auto command = verb.make();
    Arguments arguments;
    command->define(arguments);
    std::string page = fmt::format("vmette {}", verb.name);
    std::string out = heading(page);
    out += fmt::format(".SH NAME\n{} \\- {}\n", troff(dashed(page)), troff(verb.summary));
    out += fmt::format(".SH SYNOPSIS\n.B {}\n", troff(usage_line(verb, arguments)));
    out += fmt::format(".SH DESCRIPTION\n{}.\n", troff(verb.summary));
    if (!verb.description.empty()) out += fmt::format(".PP\n{}\n", troff(verb.description));
    out += ".SH OPTIONS\n";
    for (const auto& argument : arguments.all()) {
        std::string name = argument.is_operand() ? argument.names : flag_heading(argument);
        out += fmt::format(".TP\n.B {}\n{}\n", troff(name), troff(argument.help));
    }
    out += fmt::format(".SH EXAMPLE\n.nf\n{}\n.fi\n", troff(verb.example));
    out += fmt::format(".SH EXIT STATUS\n.nf\n{}\n.fi\n.SH SEE ALSO\n.BR vmette (1)\n", troff(verb.exit_codes));
    return out;
}

std::string man_overview() {
    std::string out = heading("vmette");
    out += ".SH NAME\nvmette \\- throw\\-away Linux microVMs from a TOML manifest\n";
    out += ".SH SYNOPSIS\n.B vmette\n.I VERB\n[flags] ...\n.SH VERBS\n";
    for (const Verb* verb : all_verbs()) {
        out += fmt::format(".TP\n.B {}\n{}\n", troff(verb->name), troff(verb->summary));
    }
    out += ".SH ENVIRONMENT\n";
    constexpr std::pair<std::string_view, std::string_view> kVariables[] = {
        {"VMETTE_CACHE_DIR", "images and what can be made again; default $XDG_CACHE_HOME/vmette"},
        {"VMETTE_STATE_DIR", "the history and its logs; default $XDG_STATE_HOME/vmette"},
        {"VMETTE_RUNTIME_DIR", "locks and sockets of live runs; default $XDG_RUNTIME_DIR/vmette"},
        {"VMETTE_CONFIG_DIR", "config.toml and certs/; default $XDG_CONFIG_HOME/vmette"},
        {"VMETTE_ASSETS_DIR", "the guest's kernel and initramfs"},
        {"VMETTE_LOG", "off, warn, info or debug"},
        {"NO_COLOR", "when set: no colours"},
    };
    for (const auto& [name, meaning] : kVariables) out += fmt::format(".TP\n.B {}\n{}\n", troff(name), troff(meaning));
    return out;
}

}  // namespace vmette::cli
