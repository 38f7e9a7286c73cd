#include "scheduler/input.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vmette::scheduler {

StdinPump::StdinPump(asio::io_context& io, int fd, vm::Session& session) : fd_(fd), session_(session) {
    if (auto watch = FdWatch::make(io, fd_, FdWatch::For::reading)) watch_.emplace(std::move(*watch));
    if (!watch_) {
        ended_ = true;
        session_.close_stdin();
    }
    pump();
}

void StdinPump::on_room() { pump(); }

void StdinPump::stop() {
    ended_ = true;
    if (watch_) watch_->cancel();
}

void StdinPump::pump() {
    if (ended_ || waiting_ || session_.stdin_room() == 0) return;
    waiting_ = true;
    watch_->wait([this] {
        waiting_ = false;
        if (!ended_) read_once();
        pump();
    });
}

void StdinPump::read_once() {
    std::array<char, 32768> buffer;
    ssize_t n = ::read(fd_, buffer.data(), std::min(buffer.size(), session_.stdin_room()));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n > 0) {
        session_.send_stdin({buffer.data(), static_cast<std::size_t>(n)});
        return;
    }
    ended_ = true;
    session_.close_stdin();
}

}  // namespace vmette::scheduler
