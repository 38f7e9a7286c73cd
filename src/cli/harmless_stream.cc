#include "cli/harmless_stream.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace vmette::cli {

std::string HarmlessStream::next(std::string_view bytes) {
    held_ += bytes;
    std::size_t keep = 0;
    constexpr std::size_t kLongestTail = 3;
    for (std::size_t back = 1; back <= std::min(kLongestTail, held_.size()); ++back) {
        auto byte = static_cast<unsigned char>(held_[held_.size() - back]);
        if ((byte & 0xC0) == 0x80) continue;
        std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
        if (length > back) keep = back;
        break;
    }
    std::string shown = harmless(std::string_view(held_).substr(0, held_.size() - keep));
    held_.erase(0, held_.size() - keep);
    return shown;
}

std::string HarmlessStream::rest() { return harmless(std::exchange(held_, {})); }

Result<> write_foreign(Console& console, std::string_view text) {
    if (!console.out_is_terminal()) return console.write(text);
    HarmlessStream stream;
    return console.write(stream.next(text) + stream.rest());
}

}  // namespace vmette::cli
