#include "scheduler/output_index.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"
#include "base/text.h"
#include "scheduler/history_settings.h"
#include "store/history.h"

namespace vmette::scheduler {
namespace {

Result<std::string> read_at(const Fd& file, std::uint64_t offset, std::uint64_t length) {
    std::string text(length, '\0');
    std::size_t have = 0;
    while (have < text.size()) {
        ssize_t count = ::pread(file.get(), text.data() + have, text.size() - have, static_cast<off_t>(offset + have));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno("read a run's log");
        if (count == 0) break;
        have += static_cast<std::size_t>(count);
    }
    text.resize(have);
    return text;
}

/// At most `share` bytes: the first half and the last half of what is there. A log that is gone is empty.
Result<std::string> read_log(const std::string& path, std::uint64_t share) {
    if (path.empty() || share == 0) return std::string();
    auto file = open_file(path, O_RDONLY | O_NOFOLLOW);
    if (!file) return std::string();
    off_t end = ::lseek(file->get(), 0, SEEK_END);
    if (end < 0) return fail_errno("read " + path);
    auto size = static_cast<std::uint64_t>(end);
    if (size <= share) return read_at(*file, 0, size);
    VMETTE_TRY(std::string head, read_at(*file, 0, share / 2));
    VMETTE_TRY(std::string tail, read_at(*file, size - share / 2, share / 2));
    // A line of its own, so that no phrase spans what is left out.
    return head + "\n\x1e\n" + tail;
}

}  // namespace

Result<> index_output(const Layout& layout, store::Store& store, const store::RunRecord& run) {
    if (run.log_stdout.empty() || run.usage.stdout_bytes + run.usage.stderr_bytes == 0) return {};
    VMETTE_TRY(auto settings, load_history_settings(layout.config_file()));
    if (!settings.search) return {};
    // What one stream leaves of its half is the other's.
    std::uint64_t half = settings.search_bytes / 2;
    std::uint64_t of_stderr =
        std::max(half, settings.search_bytes - std::min(settings.search_bytes, run.usage.stdout_bytes));
    VMETTE_TRY(std::string errors, read_log(run.log_stderr, of_stderr));
    VMETTE_TRY(std::string output,
               read_log(run.log_stdout,
                        settings.search_bytes - std::min<std::uint64_t>(settings.search_bytes, errors.size())));
    if (output.empty() && errors.empty()) return {};
    return store::History(store).index_output(run.id, to_valid_utf8(output + "\n" + errors));
}

}  // namespace vmette::scheduler
