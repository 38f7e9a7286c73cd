#pragma once
/// When which part of a log was written: a small file beside it, so that the log itself stays what the command wrote.

#include <cstdint>
#include <filesystem>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"

namespace vmette::scheduler {

/// The file beside a log: entries of 16 bytes, little-endian: u64 milliseconds since the epoch, u64 offset in the log.
std::filesystem::path times_of(const std::filesystem::path& log);

/// Writes them: an entry for what comes at least so long after the last one. The interval doubles with every
/// kStepEntries, so that a year of output costs 2 MiB.
class LogTimes {
public:
    static constexpr std::chrono::milliseconds kFirstInterval{100};
    static constexpr std::uint64_t kStepEntries = 8192;

    LogTimes() = default;
    static Result<LogTimes> create(const std::filesystem::path& log);
    /// The bytes from this offset on are being written now. What cannot be noted is not: a log without times is whole.
    void note(WallTime now, std::uint64_t offset);

private:
    Fd file_;
    std::uint64_t entries_ = 0;
    WallTime last_{};
};

/// Where in the log to begin so that nothing written at or after `since` is missed; what comes up to one interval
/// before it may be included. The end of the log when nothing was; the whole log when no times were kept.
Result<std::uint64_t> offset_since(const std::filesystem::path& log, WallTime since);

}  // namespace vmette::scheduler
