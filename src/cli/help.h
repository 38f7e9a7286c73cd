#pragma once
/// What `--help` prints, made from the definitions.

#include <string>

#include "cli/arguments.h"
#include "cli/verbs.h"

namespace vmette::cli {

/// All verbs, one line each.
std::string render_overview();
/// The verbs that begin with a word which is none itself ("image"), one line each.
std::string render_group(std::string_view parent);
/// One verb, and those below it: usage, description, flags, an example, exit codes.
std::string render_help(const Verb& verb, const Arguments& arguments);
/// "vmette up [flags] FILE... [-- CMD...]".
std::string usage_line(const Verb& verb, const Arguments& arguments);
/// "-q, --quiet", "--set K=V".
std::string flag_heading(const Argument& argument);

}  // namespace vmette::cli
