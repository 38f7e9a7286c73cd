#include "calls.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>

namespace vmette::guest {

using wire::Type;

Outcome<> Calls::open(std::uint32_t port) {
    if (port == 0) return {};
    GUEST_TRY(listener_, listen_for_calls(port));
    update();
    return {};
}

void Calls::update() {
    std::erase_if(calls_, [](const auto& call) { return call->is_over(); });
    // Those beyond the limit wait in the socket's queue.
    const bool wanted = listener_ && calls_.size() < wire::kMaxCalls;
    if (wanted == listening_) return;
    if (wanted)
        loop_.add(listener_.get(), EPOLLIN, watcher_);
    else
        loop_.remove(listener_.get());
    listening_ = wanted;
}

void Calls::on_caller() {
    update();
    if (!listening_) return;
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    calls_.push_back(std::make_unique<Call>(loop_, channel_, std::move(socket), free_stream()));
    update();
}

std::uint16_t Calls::free_stream() {
    while (next_ < wire::kFirstCallStream || find(next_) != nullptr) ++next_;
    return next_++;
}

Call* Calls::find(std::uint16_t stream) {
    auto found =
        std::find_if(calls_.begin(), calls_.end(), [stream](const auto& call) { return call->stream() == stream; });
    return found != calls_.end() ? found->get() : nullptr;
}

bool Calls::take(wire::Header header, std::string_view payload) {
    Call* call = find(header.stream);
    // The host may speak of no call that it has not been told of, nor of one that is over on both sides.
    if (call == nullptr) return false;
    wire::Credit credit;
    switch (header.type) {
        case Type::credit:
            if (!wire::decode(payload, credit) || credit.channel != static_cast<std::uint8_t>(Type::out)) return false;
            call->on_credit(credit.bytes);
            return true;
        case Type::in:
            return payload.size() <= wire::kMaxChunk && call->on_input(payload);
        case Type::in_end:
            call->on_input_end();
            return payload.empty();
        case Type::taken:
            call->on_taken();
            return payload.empty();
        case Type::hang_up:
            call->on_hang_up();
            update();
            return payload.empty();
        default:
            return false;
    }
}

void Calls::on_room() {
    for (auto& call : calls_) call->on_room();
}

void Calls::close() {
    if (listening_) loop_.remove(listener_.get());
    listening_ = false;
    listener_.reset();
    for (auto& call : calls_) call->leave();
}

}  // namespace vmette::guest
