#include "channel.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace vmette::guest {

Channel::Channel(Loop& loop, Fd port, FrameHandler& handler) : loop_(loop), port_(std::move(port)), handler_(handler) {
    // Edge-triggered: the port reports a hang-up for as long as the host's end is closed, which it may be at first.
    loop_.add(port_.get(), EPOLLIN | EPOLLOUT | EPOLLET, watcher_);
}

void Channel::send(wire::Type type, std::uint16_t stream, std::string_view payload) {
    queue_.push_back(wire::frame(type, stream, payload));
    queued_ += queue_.back().size();
    write_some();
}

void Channel::send_urgent(wire::Type type, std::uint16_t stream, std::string_view payload) {
    std::string frame = wire::frame(type, stream, payload);
    queued_ += frame.size();
    queue_.insert(queue_.begin() + (sent_ > 0 ? 1 : 0), std::move(frame));
    write_some();
}

void Channel::on_port() {
    bool had_room = has_room();
    write_some();
    if (!had_room && has_room()) handler_.on_room();
    read_some();
}

void Channel::write_some() {
    while (!queue_.empty()) {
        const std::string& frame = queue_.front();
        ssize_t n = write(port_.get(), frame.data() + sent_, frame.size() - sent_);
        if (n <= 0) return;  // full, or not open yet: the loop calls again
        sent_ += static_cast<std::size_t>(n);
        queued_ -= static_cast<std::size_t>(n);
        if (sent_ < frame.size()) continue;
        queue_.pop_front();
        sent_ = 0;
    }
}

void Channel::read_some() {
    char buffer[16384];
    while (!broken_) {
        ssize_t n = read(port_.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EAGAIN) connected_ = true;
        if (n == 0 && connected_) handler_.on_host_gone();
        if (n <= 0) return;
        connected_ = true;
        input_.append(buffer, static_cast<std::size_t>(n));
        take_frames();
    }
}

void Channel::take_frames() {
    std::size_t at = 0;
    while (!broken_ && input_.size() - at >= wire::kHeaderSize) {
        wire::Header header;
        if (!wire::decode_header(input_.data() + at, header)) {
            broken_ = true;
            handler_.on_garbage();
            break;
        }
        std::size_t whole = wire::kHeaderSize + header.length;
        if (input_.size() - at < whole) break;
        handler_.on_frame(header, std::string_view(input_).substr(at + wire::kHeaderSize, header.length));
        at += whole;
    }
    input_.erase(0, at);
}

}  // namespace vmette::guest
