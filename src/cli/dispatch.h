#pragma once
/// From the words of a command line to the verb that does it.

#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/console.h"

namespace vmette::cli {

/// Carries out one command line (without the program's name) and returns the exit code. Errors are said on
/// `console`.
int run_cli(const std::vector<std::string>& words, Console& console, const Clock& clock);

}  // namespace vmette::cli
