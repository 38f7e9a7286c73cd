#include "vm/last_words.h"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.h"

namespace vmette::vm {

Result<LastWords> LastWords::make() {
    VMETTE_TRY(auto ends, make_pipe(/*non_blocking=*/true));
    return LastWords(std::move(ends[0]), std::move(ends[1]));
}

std::string LastWords::take() {
    std::string said;
    std::array<char, 4096> buffer;
    while (read_) {
        ssize_t n = ::read(read_.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        said.append(buffer.data(), static_cast<std::size_t>(n));
        // Only the end matters, and the helper may still be writing: never hold more than a pipe's worth.
        constexpr std::size_t kKept = 4096;
        if (said.size() > 2 * kKept) said.erase(0, said.size() - kKept);
    }
    while (!said.empty() && (said.back() == '\n' || said.back() == '\r')) said.pop_back();
    auto line_start = said.rfind('\n');
    return harmless_line(line_start == said.npos ? said : said.substr(line_start + 1));
}

}  // namespace vmette::vm
