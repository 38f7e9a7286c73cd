#pragma once
/// What a job needs, as the queue keeps it: "12 g3", jobs and groups by index.

#include <string>
#include <string_view>
#include <vector>

#include "manifest/batch.h"

namespace vmette::scheduler {

std::string needs_text(const std::vector<manifest::Need>& needs);
/// Back. What a damaged row names beyond the `jobs` and `groups` that there are is left out.
std::vector<manifest::Need> parse_needs(std::string_view text, std::uint32_t jobs, std::uint32_t groups);

}  // namespace vmette::scheduler
