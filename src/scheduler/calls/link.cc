#include "scheduler/calls/link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/post.hpp>

namespace vmette::scheduler::calls {

Link::Link(asio::io_context& io, std::unique_ptr<vm::GuestCall> call, std::function<void()> over)
    : io_(io), call_(std::move(call)), over_(std::move(over)), from_host_(io), to_host_(io) {
    call_->attend(*this);
}

void Link::join(Fd from_host, Fd to_host) {
    asio::error_code ignored;
    from_host_.assign(from_host.release(), ignored);
    to_host_.assign(to_host.release(), ignored);
    from_host_.non_blocking(true, ignored);
    to_host_.non_blocking(true, ignored);
    joined_ = true;
    if (call_) call_->accept();
    if (program_ended_) write();
    read();
}

void Link::on_bytes(std::string_view bytes) {
    // Not granted again: the program stops by itself, and hears of the end when the host's side has said its last.
    if (write_over_) return;
    held_.append(bytes);
    write();
}

void Link::on_end() {
    program_ended_ = true;
    if (joined_) write();
}

void Link::write() {
    if (writing_ || write_over_) return;
    if (held_.empty()) {
        if (program_ended_) end_writing();
        return;
    }
    // Mostly it is taken at once: no turn of the loop is spent on it. The program is told by a turn of its own, since
    // this may be a call of its.
    writing_ = true;
    to_host_.async_wait(Stream::wait_write, [self = shared_from_this()](asio::error_code failed) {
        self->writing_ = false;
        if (self->write_over_) return;
        if (failed || !self->write_some()) self->end_writing();
    });
}

bool Link::write_some() {
    int fd = to_host_.native_handle();
    ssize_t n = ::send(fd, held_.data(), held_.size(), MSG_NOSIGNAL);
    // A pipe: only vmette's own process starts commands, and it ignores SIGPIPE.
    if (n < 0 && errno == ENOTSOCK) n = ::write(fd, held_.data(), held_.size());
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (n > 0) {
        held_.erase(0, static_cast<std::size_t>(n));
        if (call_) call_->consumed(static_cast<std::size_t>(n));
    }
    write();
    return true;
}

void Link::end_writing() {
    if (std::exchange(write_over_, true)) return;
    held_ = {};
    asio::error_code ignored;
    if (to_host_.is_open()) {
        ::shutdown(to_host_.native_handle(), SHUT_WR);
        to_host_.close(ignored);
    }
    finish_if_done();
}

void Link::on_room() { read(); }

void Link::read() {
    if (!joined_ || reading_ || host_ended_ || !call_) return;
    std::size_t room = std::min(call_->room(), buffer_.size());
    if (room == 0) return;
    reading_ = true;
    from_host_.async_read_some(asio::buffer(buffer_, room),
                               [self = shared_from_this()](asio::error_code failed, std::size_t bytes) {
                                   self->reading_ = false;
                                   self->was_read(failed, bytes);
                               });
}

void Link::was_read(asio::error_code failed, std::size_t bytes) {
    if (host_ended_ || !call_) return;
    if (!failed) {
        call_->send({buffer_.data(), bytes});
        return read();
    }
    host_ended_ = true;
    call_->end();
    finish_if_done();
}

void Link::host_gone() { end_writing(); }

void Link::guest_gone() {
    call_.reset();
    program_ended_ = true;
    host_ended_ = true;
    if (joined_)
        write();
    else
        end_writing();
    finish_if_done();
}

void Link::finish_if_done() {
    if (!write_over_ || !host_ended_ || !over_) return;
    call_.reset();
    asio::error_code ignored;
    from_host_.close(ignored);
    asio::post(io_, [self = shared_from_this(), over = std::exchange(over_, nullptr)] { over(); });
}

void Link::drop() {
    over_ = nullptr;
    host_ended_ = true;
    end_writing();
    call_.reset();
    asio::error_code ignored;
    from_host_.close(ignored);
}

}  // namespace vmette::scheduler::calls
