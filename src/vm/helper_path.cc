#include "vm/helper_path.h"

#include <unistd.h>

#include <cstdlib>
#include <system_error>
#include <vector>

namespace vmette::vm {

Result<std::filesystem::path> find_helper(std::string_view name) {
    std::vector<std::filesystem::path> folders;
    if (const char* named = ::getenv("VMETTE_LIBEXEC_DIR"); named != nullptr && *named != '\0')
        folders.emplace_back(named);
    std::error_code failed;
    auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
    if (!failed) {
        folders.push_back(self.parent_path());
        folders.push_back(self.parent_path().parent_path() / "libexec" / "vmette");
    }
    std::string tried;
    for (const auto& folder : folders) {
        auto candidate = folder / name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        tried += (tried.empty() ? "" : ", ") + folder.string();
    }
    return fail(ErrorCode::not_found, "vmette's helper program {} is missing (looked in {}); reinstall vmette", name,
                tried);
}

}  // namespace vmette::vm
