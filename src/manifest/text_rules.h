#pragma once
/// What names, paths and addresses in a manifest must look like.

#include <cstddef>
#include <string>
#include <string_view>

#include "manifest/keys.h"

namespace vmette::manifest {

constexpr std::size_t kMaxNameLength = 63;

extern const TextRule kAnyText;       ///< not empty
extern const TextRule kNameRule;      ///< of a sandbox
extern const TextRule kTagRule;       ///< of a share
extern const TextRule kEnvNameRule;   ///< of environment variables and secrets
extern const TextRule kLabelRule;     ///< of labels
extern const TextRule kGuestDirRule;  ///< a folder in the guest, / too
extern const TextRule kMountRule;     ///< a mount point in the guest
extern const TextRule kGuestGlobRule;
extern const TextRule kUserRule;
extern const TextRule kOneLineRule;  ///< of kernel parameters
extern const TextRule kPortRule;
extern const TextRule kAllowRule;

/// "/a//b/./c/" as "/a/b/c". Requires a text that kGuestDirRule takes.
std::string normal_guest_path(std::string_view path);

/// `text` made to fit kNameRule or kTagRule: lower case, other bytes as '-', cut; empty when nothing is left.
std::string fit_name(std::string_view text, std::size_t max_length, std::string_view also_allowed);

}  // namespace vmette::manifest
