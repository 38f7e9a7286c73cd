#pragma once
/// Scripts that complete a shell's words, made from the verbs' definitions.

#include <string>

namespace vmette::cli {

std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

}  // namespace vmette::cli
