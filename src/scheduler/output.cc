#include "scheduler/output.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace vmette::scheduler {

Result<BoundedLog> BoundedLog::create(const std::filesystem::path& path, std::uint64_t limit) {
    BoundedLog log(limit);
    VMETTE_TRY(log.file_, open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600));
    return log;
}

Result<BoundedLog> BoundedLog::create(const std::filesystem::path& path, std::uint64_t limit, const Clock& clock) {
    VMETTE_TRY(BoundedLog log, create(path, limit));
    VMETTE_TRY(log.times_, LogTimes::create(path));
    log.clock_ = &clock;
    return log;
}

void BoundedLog::append(std::string_view bytes) {
    total_ += bytes.size();
    if (!file_ || problem_) return;
    std::string_view part = bytes.substr(0, std::min<std::uint64_t>(bytes.size(), limit_ - kept_));
    if (part.empty()) return;
    if (clock_ != nullptr) times_.note(clock_->now(), kept_);
    if (auto result = write_all(file_.get(), part); !result) {
        problem_ = result.error();
        return;
    }
    kept_ += part.size();
}

void BoundedLog::close() {
    if (file_ && dropped() > 0)
        (void)write_all(file_.get(), fmt::format("\n[vmette: {} more bytes were written and not kept]\n", dropped()));
    file_.reset();
}

Forwarder::Forwarder(asio::io_context& io, int fd, std::function<void(std::size_t)> written)
    : fd_(fd), written_(std::move(written)) {
    if (fd_ < 0) return;
    if (auto watch = FdWatch::make(io, fd_, FdWatch::For::writing))
        watch_.emplace(std::move(*watch));
    else
        gone_ = true;
}

void Forwarder::push(std::string_view bytes) {
    if (fd_ < 0 || gone_) {
        written_(bytes.size());
        return;
    }
    queue_.emplace_back(bytes);
    if (!waiting_) pump();
}

void Forwarder::when_idle(std::function<void()> done) {
    if (idle())
        done();
    else
        idle_ = std::move(done);
}

void Forwarder::drop_all() {
    gone_ = true;
    std::size_t left = 0;
    for (const auto& piece : queue_) left += piece.size();
    queue_.clear();
    written_(left - offset_);
    offset_ = 0;
}

/// One write of at most PIPE_BUF bytes: as much as a pipe that polls writable takes without blocking (pipe(7)).
bool Forwarder::write_some() {
    std::string_view piece = std::string_view(queue_.front()).substr(offset_);
    std::size_t size = watch_->always_ready() ? piece.size() : std::min<std::size_t>(piece.size(), PIPE_BUF);
    ssize_t n = ::write(fd_, piece.data(), size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (n < 0) return false;
    offset_ += static_cast<std::size_t>(n);
    if (offset_ == queue_.front().size()) {
        queue_.pop_front();
        offset_ = 0;
    }
    written_(static_cast<std::size_t>(n));
    return true;
}

void Forwarder::pump() {
    if (!queue_.empty()) {
        waiting_ = true;
        watch_->wait([this] {
            waiting_ = false;
            if (!write_some()) drop_all();
            pump();
        });
        return;
    }
    if (idle_) std::exchange(idle_, nullptr)();
}

}  // namespace vmette::scheduler
