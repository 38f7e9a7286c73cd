#include "call.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace vmette::guest {

using wire::Type;

Call::Call(Loop& loop, Channel& channel, Fd socket, std::uint16_t stream)
    : loop_(loop), channel_(channel), socket_(std::move(socket)), stream_(stream) {
    update();
}

Call::~Call() { unwatch(); }

void Call::unwatch() {
    if (watched_ != 0) loop_.remove(socket_.get());
    watched_ = 0;
}

std::uint32_t Call::wanted_events() const {
    constexpr std::uint32_t kNone = 0, kReading = EPOLLIN, kWriting = EPOLLOUT;
    const bool reads = !told_ || (!ended_ && !host_left_ && credit_ > 0 && channel_.has_room());
    return (reads ? kReading : kNone) | (input_.empty() ? kNone : kWriting);
}

void Call::update() {
    if (!socket_) return;
    const bool nothing_left = answered_ && input_.empty();
    if ((host_left_ && input_.empty()) || (ended_ && nothing_left && kind_ == CallKind::answer)) {
        leave();
        return;
    }
    const std::uint32_t events = wanted_events();
    // A hang-up shows itself whatever is asked for: it is news only once all that was written has been read.
    const std::uint32_t watched = events != 0 || ended_ ? events + 1 : 0;
    if (watched == watched_) return;
    unwatch();
    if (watched != 0 && loop_.add(socket_.get(), events, watcher_)) watched_ = watched;
}

void Call::on_ready() {
    pollfd state{socket_.get(), POLLIN | POLLOUT, 0};
    if (poll(&state, 1, 0) < 0) return;
    if (!told_)
        take_kind();
    else if ((wanted_events() & EPOLLIN) != 0)
        take_output();
    if (socket_ && !input_.empty()) write_input();
    if (socket_ && ended_ && (state.revents & POLLHUP) != 0) leave();
    update();
}

void Call::take_kind() {
    char kind = 0;
    ssize_t n = read(socket_.get(), &kind, 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const bool known = kind == static_cast<char>(CallKind::send) || kind == static_cast<char>(CallKind::answer);
    if (n != 1 || !known) {
        leave();
        return;
    }
    kind_ = static_cast<CallKind>(kind);
    told_ = true;
    channel_.send(Type::call, stream_, {});
}

void Call::take_output() {
    char buffer[wire::kMaxChunk];
    ssize_t n = read(socket_.get(), buffer, std::min<std::uint64_t>(sizeof buffer, credit_));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) {
        leave();
        return;
    }
    if (n == 0) {
        ended_ = true;
        channel_.send(Type::out_end, stream_, {});
        return;
    }
    credit_ -= static_cast<std::uint64_t>(n);
    channel_.send(Type::out, stream_, std::string_view(buffer, static_cast<std::size_t>(n)));
}

void Call::leave() {
    if (!socket_) return;
    unwatch();
    socket_.reset();
    input_.clear();
    if (told_) channel_.send(Type::gone, stream_, {});
}

void Call::on_credit(std::uint32_t bytes) {
    credit_ += bytes;
    update();
}

bool Call::on_input(std::string_view bytes) {
    if (bytes.size() > input_credit_) return false;
    input_credit_ -= bytes.size();
    if (!socket_ || kind_ == CallKind::send) {
        grant(bytes.size());  // nobody reads it
        return true;
    }
    input_.append(bytes);
    write_input();
    update();
    return true;
}

void Call::write_input() {
    std::size_t taken = 0;
    while (taken < input_.size()) {
        ssize_t n = send(socket_.get(), input_.data() + taken, input_.size() - taken, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) {
            leave();
            return;
        }
        taken += static_cast<std::size_t>(n);
    }
    input_.erase(0, taken);
    grant(taken);
    if (socket_ && answered_ && input_.empty()) shutdown(socket_.get(), SHUT_WR);
}

void Call::grant(std::size_t bytes) {
    input_granted_back_ += bytes;
    if (!socket_ || answered_ || host_left_ || input_granted_back_ < wire::kInitialCredit / 4) return;
    wire::Credit credit;
    credit.channel = static_cast<std::uint8_t>(Type::in);
    credit.bytes = static_cast<std::uint32_t>(input_granted_back_);
    input_credit_ += input_granted_back_;
    input_granted_back_ = 0;
    channel_.send_urgent(Type::credit, stream_, wire::encode(credit));
}

void Call::on_input_end() {
    answered_ = true;
    if (!socket_ || kind_ == CallKind::send) return;
    if (input_.empty()) shutdown(socket_.get(), SHUT_WR);
    update();
}

void Call::on_taken() {
    if (!socket_ || !ended_ || kind_ != CallKind::send) return;
    [[maybe_unused]] ssize_t told = send(socket_.get(), &kAllTaken, 1, MSG_NOSIGNAL);
    leave();
}

/// The program's writes fail from now on; what the host had answered before is still its.
void Call::on_hang_up() {
    host_left_ = true;
    answered_ = true;
    if (!socket_) return;
    shutdown(socket_.get(), SHUT_RD);
    update();
}

}  // namespace vmette::guest
