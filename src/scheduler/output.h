#pragma once
/// Where a stream of the command goes: a log with a bound, and perhaps a descriptor of the user's.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "scheduler/fd_watch.h"
#include "scheduler/log_times.h"

namespace vmette::scheduler {

/// A log file that keeps the first `limit` bytes, counts the rest, and says so in its last line.
class BoundedLog {
public:
    /// Counts only: nothing is kept.
    explicit BoundedLog(std::uint64_t limit) : limit_(limit) {}
    static Result<BoundedLog> create(const std::filesystem::path& path, std::uint64_t limit);
    /// The same with its times beside it (log_times.h), of this clock; borrowed.
    static Result<BoundedLog> create(const std::filesystem::path& path, std::uint64_t limit, const Clock& clock);

    void append(std::string_view bytes);
    /// Ends the log: the note about what was dropped is written, if anything was.
    void close();
    std::uint64_t total() const { return total_; }
    std::uint64_t dropped() const { return total_ - kept_; }
    /// What went wrong while writing, once; the bytes count as dropped from then on.
    const std::optional<Error>& problem() const { return problem_; }

private:
    Fd file_;
    LogTimes times_;
    const Clock* clock_ = nullptr;
    std::uint64_t limit_;
    std::uint64_t total_ = 0;
    std::uint64_t kept_ = 0;
    std::optional<Error> problem_;
};

/// Passes bytes on to a descriptor as fast as its reader takes them. Holds at most what the guest had credit for.
class Forwarder {
public:
    /// `written` is called with the number of bytes that are off our hands: the credit to give back.
    Forwarder(asio::io_context& io, int fd, std::function<void(std::size_t)> written);
    void push(std::string_view bytes);
    bool idle() const { return queue_.empty(); }
    /// Called once when everything that was pushed is written (or the reader is gone).
    void when_idle(std::function<void()> done);
    /// The reader closed its end: what comes is dropped.
    bool reader_gone() const { return gone_; }

private:
    void pump();
    bool write_some();
    void drop_all();

    int fd_;
    std::function<void(std::size_t)> written_;
    std::function<void()> idle_;
    std::optional<FdWatch> watch_;
    std::deque<std::string> queue_;
    std::size_t offset_ = 0;  ///< into the first of the queue
    bool waiting_ = false;
    bool gone_ = false;
};

}  // namespace vmette::scheduler
