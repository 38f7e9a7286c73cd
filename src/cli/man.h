#pragma once
/// Manual pages, made from the verbs' definitions.

#include <string>

#include "cli/verbs.h"

namespace vmette::cli {

/// vmette(1): the verbs, the folders and the variables.
std::string man_overview();
/// vmette-up(1) and so on.
std::string man_page(const Verb& verb);

}  // namespace vmette::cli
