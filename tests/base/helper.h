#pragma once
/// The test program as another process: what it does when it is started with --helper.

#include <string>
#include <vector>

namespace vmette {

/// Runs the mode that follows --helper; its exit code. Modes:
///   descriptors      lists its open descriptors on stdout, one number a line
///   standard-streams what 0, 1 and 2 are, a line each, to descriptor 5
///   parent           starts a child that sleeps, prints its pid, and waits until it is killed
int run_helper(const std::vector<std::string>& arguments);

/// argv for it.
std::vector<std::string> helper(std::string mode);

}  // namespace vmette
