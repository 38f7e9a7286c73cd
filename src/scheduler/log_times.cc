#include "scheduler/log_times.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace vmette::scheduler {
namespace {

constexpr std::size_t kEntrySize = 16;
using Entry = std::array<unsigned char, kEntrySize>;

void put(Entry& entry, std::size_t at, std::uint64_t value) {
    for (std::size_t i = 0; i < 8; ++i) entry[at + i] = static_cast<unsigned char>(value >> (8 * i));
}

std::uint64_t get(const Entry& entry, std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 8; ++i) value |= std::uint64_t{entry[at + i]} << (8 * i);
    return value;
}

/// After the entry of this index nothing is noted for so long.
std::chrono::milliseconds interval_after(std::uint64_t index) {
    constexpr std::uint64_t kMostDoublings = 20;
    return LogTimes::kFirstInterval * (1 << std::min(index / LogTimes::kStepEntries, kMostDoublings));
}

}  // namespace

std::filesystem::path times_of(const std::filesystem::path& log) { return log.string() + ".times"; }

Result<LogTimes> LogTimes::create(const std::filesystem::path& log) {
    LogTimes times;
    VMETTE_TRY(times.file_, open_file(times_of(log), O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600));
    return times;
}

void LogTimes::note(WallTime now, std::uint64_t offset) {
    if (!file_ || (entries_ > 0 && now - last_ < interval_after(entries_ - 1))) return;
    Entry entry;
    put(entry, 0, static_cast<std::uint64_t>(now.time_since_epoch().count()));
    put(entry, 8, offset);
    if (::write(file_.get(), entry.data(), entry.size()) != static_cast<ssize_t>(entry.size())) file_.reset();
    last_ = now;
    ++entries_;
}

Result<std::uint64_t> offset_since(const std::filesystem::path& log, WallTime since) {
    auto file = open_file(times_of(log), O_RDONLY);
    if (!file && file.error().code == ErrorCode::not_found) return 0;
    if (!file) return Failure(file.error());
    struct stat info{}, whole{};
    if (::fstat(file->get(), &info) != 0 || ::stat(log.c_str(), &whole) != 0) return fail_errno(log.string());
    auto wanted = since.time_since_epoch().count();
    // The first entry whose stretch reaches to `since`. The clock may have been set back meanwhile: then an entry too
    // early is found, which shows more than was asked for.
    std::uint64_t low = 0, high = static_cast<std::uint64_t>(info.st_size) / kEntrySize;
    std::uint64_t found = static_cast<std::uint64_t>(whole.st_size);
    while (low < high) {
        std::uint64_t middle = low + (high - low) / 2;
        Entry entry;
        if (::pread(file->get(), entry.data(), entry.size(), static_cast<off_t>(middle * kEntrySize)) !=
            static_cast<ssize_t>(entry.size()))
            return fail_errno("read " + times_of(log).string());
        auto until = static_cast<std::int64_t>(get(entry, 0)) + interval_after(middle).count();
        if (until > wanted) {
            high = middle;
            found = std::min(get(entry, 8), static_cast<std::uint64_t>(whole.st_size));
        } else {
            low = middle + 1;
        }
    }
    return found;
}

}  // namespace vmette::scheduler
