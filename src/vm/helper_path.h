#pragma once
/// Where vmette's own helper programs are.

#include <filesystem>
#include <string_view>

#include "base/error.h"

namespace vmette::vm {

/// VMETTE_LIBEXEC_DIR, else the folder of the running program, else ../libexec/vmette beside it. `not_found` names the
/// places that were tried.
Result<std::filesystem::path> find_helper(std::string_view name);

}  // namespace vmette::vm
