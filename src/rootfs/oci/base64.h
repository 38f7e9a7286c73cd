#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vmette::rootfs::oci {

/// What standard base64 (RFC 4648, section 4) stands for; "=" at the end may be missing, line breaks are passed over.
/// Nothing when it is none.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace vmette::rootfs::oci
