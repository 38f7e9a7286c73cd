#include "scheduler/record_end.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/log.h"
#include "base/units.h"

namespace vmette::scheduler {
namespace {

/// Many times what a row and its indexes take, in the write-ahead log and in the file.
constexpr std::uint64_t kRoom = 512 * kKiB;

/// False: there is nothing that could go.
bool shorten_logs(store::RunRecord& record) {
    struct Log {
        const std::string& path;
        std::uint64_t* dropped;
        std::uint64_t size = 0;
    };
    std::uint64_t of_console = 0;
    Log logs[] = {{record.log_stdout, &record.usage.stdout_dropped},
                  {record.log_stderr, &record.usage.stderr_dropped},
                  {record.log_console, &of_console}};
    for (auto& log : logs) {
        std::error_code missing;
        auto size = std::filesystem::file_size(log.path, missing);
        if (!missing) log.size = size;
    }
    auto& longest = *std::ranges::max_element(logs, {}, &Log::size);
    std::uint64_t cut = std::min(longest.size, kRoom);
    if (cut == 0 || ::truncate(longest.path.c_str(), static_cast<off_t>(longest.size - cut)) != 0) return false;
    *longest.dropped += cut;
    return true;
}

}  // namespace

Result<> record_end(store::Store& store, store::RunRecord& record) {
    auto written = store.update_run(record);
    if (written || written.error().code != ErrorCode::no_space || !shorten_logs(record)) return written;
    log(LogLevel::warn, "the disk of the history is full: the end of what run {} wrote made room for its row",
        record.id);
    return store.update_run(record);
}

}  // namespace vmette::scheduler
