#pragma once
/// A look at a TOML text before the parser sees it: what would crash or mislead the parser is found here.

#include <optional>
#include <string>
#include <string_view>

#include "manifest/diagnostics.h"

namespace vmette::manifest {

struct ScanProblem {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
    std::string message;
};

/// The first NUL byte, or byte that is not UTF-8.
std::optional<ScanProblem> scan_encoding(std::string_view text);
/// The same, else the first place that is nested too deeply.
std::optional<ScanProblem> scan_text(std::string_view text);

}  // namespace vmette::manifest
