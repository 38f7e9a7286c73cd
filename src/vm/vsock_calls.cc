#include "vm/vsock_calls.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <string>

#include <asio/buffer.hpp>

#include "base/log.h"
#include "guest/protocol.h"
#include "vm/guarded.h"

namespace vmette::vm {
namespace {

/// At a time from the listener's queue: the rest is left to the next turn of the loop.
constexpr int kCallersAtOnce = 16;

/// Held by its handlers while they are under way.
class SocketCall final : public std::enable_shared_from_this<SocketCall> {
public:
    SocketCall(asio::io_context& io, Fd socket) : socket_(io, socket.release()) {
        asio::error_code ignored;
        socket_.non_blocking(true, ignored);
    }

    void attend(CallObserver& observer) { observer_ = &observer; }
    void accept() {
        window_ = wire::kInitialCredit;
        read();
    }
    std::size_t room() const {
        return wire::kInitialCredit - std::min<std::size_t>(held_.size(), wire::kInitialCredit);
    }
    void send(std::string_view bytes) {
        held_.append(bytes);
        write();
    }
    void end() {
        ended_ = true;
        end_if_written();
    }
    void consumed(std::size_t bytes) {
        window_ += bytes;
        read();
    }
    void hang_up() {
        observer_ = nullptr;
        asio::error_code ignored;
        socket_.close(ignored);
    }

private:
    void read() {
        if (reading_ || finished_ || window_ == 0 || !socket_.is_open()) return;
        reading_ = true;
        socket_.async_read_some(asio::buffer(buffer_, std::min(window_, buffer_.size())),
                                [self = shared_from_this()](asio::error_code failed, std::size_t bytes) {
                                    self->reading_ = false;
                                    self->was_read(failed, bytes);
                                });
    }

    void was_read(asio::error_code failed, std::size_t bytes) {
        if (observer_ == nullptr) return;
        if (failed == asio::error::eof) {
            finished_ = true;
            return observer_->on_end();
        }
        if (failed) return gone();
        window_ -= bytes;
        observer_->on_bytes({buffer_.data(), bytes});
        read();
    }

    void write() {
        if (writing_ || held_.empty() || !socket_.is_open()) return;
        writing_ = true;
        socket_.async_wait(asio::posix::stream_descriptor::wait_write,
                           [self = shared_from_this()](asio::error_code failed) {
                               self->writing_ = false;
                               if (self->observer_ == nullptr) return;
                               if (failed || !self->write_some()) return self->gone();
                           });
    }

    /// By send(2), which raises no SIGPIPE where the library's user has not thought of it.
    bool write_some() {
        ssize_t n = ::send(socket_.native_handle(), held_.data(), held_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
        if (n > 0) held_.erase(0, static_cast<std::size_t>(n));
        write();
        end_if_written();
        if (n > 0) observer_->on_room();
        return true;
    }

    void end_if_written() {
        if (ended_ && held_.empty() && socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_WR);
    }

    void gone() {
        auto* observer = observer_;
        hang_up();
        observer->on_gone();
    }

    asio::posix::stream_descriptor socket_;
    CallObserver* observer_ = nullptr;
    std::array<char, wire::kMaxChunk> buffer_{};
    std::size_t window_ = 0;  ///< bytes that may still be read before some are dealt with
    std::string held_;        ///< not yet written
    bool reading_ = false, writing_ = false, finished_ = false, ended_ = false;
};

class SocketHandle final : public GuestCall {
public:
    explicit SocketHandle(std::shared_ptr<SocketCall> call) : call_(std::move(call)) {}
    ~SocketHandle() override { call_->hang_up(); }
    void attend(CallObserver& observer) override { call_->attend(observer); }
    void accept() override { call_->accept(); }
    std::size_t room() const override { return call_->room(); }
    void send(std::string_view bytes) override { call_->send(bytes); }
    void end() override { call_->end(); }
    void consumed(std::size_t bytes) override { call_->consumed(bytes); }

private:
    std::shared_ptr<SocketCall> call_;
};

}  // namespace

std::unique_ptr<GuestCall> make_socket_call(asio::io_context& io, Fd socket) {
    return std::make_unique<SocketHandle>(std::make_shared<SocketCall>(io, std::move(socket)));
}

VsockCalls::VsockCalls(asio::io_context& io, Fd listener, std::function<bool(int)> belongs, Arrival arrival)
    : io_(io), listener_(io, listener.release()), belongs_(std::move(belongs)), arrival_(std::move(arrival)) {}

void VsockCalls::start(std::weak_ptr<void> owner) {
    owner_ = std::move(owner);
    accept();
}

void VsockCalls::close() {
    asio::error_code ignored;
    listener_.close(ignored);
}

void VsockCalls::accept() {
    listener_.async_wait(asio::posix::stream_descriptor::wait_read, guarded(owner_, [this](asio::error_code stopped) {
                             if (stopped) return;
                             take_callers();
                             if (listener_.is_open()) accept();
                         }));
}

void VsockCalls::take_callers() {
    for (int i = 0; i < kCallersAtOnce && listener_.is_open(); ++i) {
        Fd socket(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket) return;
        if (!belongs_(socket.get())) {
            log(LogLevel::warn, "a caller on the run's port of vsock that is not its guest was turned away");
            continue;
        }
        arrival_(make_socket_call(io_, std::move(socket)));
    }
}

}  // namespace vmette::vm
