#include "rootfs/oci/base64.h"

#include <cstdint>

namespace vmette::rootfs::oci {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
    std::string out;
    std::uint32_t bits = 0;
    std::size_t digits = 0;
    std::size_t padding = 0;
    for (char c : text) {
        if (c == '\n' || c == '\r') continue;
        if (c == '=') {
            ++padding;
            continue;
        }
        std::size_t value = kDigits.find(c);
        if (value == kDigits.npos || padding > 0) return std::nullopt;
        bits = (bits << 6 | static_cast<std::uint32_t>(value)) & 0xFFFFFF;
        ++digits;
        // The second, third and fourth digit of a group each complete a byte.
        if (digits % 4 == 2) out += static_cast<char>(bits >> 4 & 0xFF);
        if (digits % 4 == 3) out += static_cast<char>(bits >> 2 & 0xFF);
        if (digits % 4 == 0) out += static_cast<char>(bits & 0xFF);
    }
    bool whole = digits % 4 != 1 && (padding == 0 || (digits % 4 != 0 && padding == 4 - digits % 4));
    return whole ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace vmette::rootfs::oci
