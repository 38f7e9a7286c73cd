#include "vm/call_streams.h"

namespace vmette::vm {

using wire::Type;

std::size_t CallStreams::room(std::uint16_t stream) const {
    auto found = streams_.find(stream);
    return found == streams_.end() ? 0 : found->second.room;
}

void CallStreams::hung_up(std::uint16_t stream) {
    State& state = streams_.at(stream);
    state.hung_up = true;
    if (state.gone) streams_.erase(stream);
}

Result<> CallStreams::check(const wire::Header& header, std::string_view type_name) const {
    auto refuse = [&](std::string_view why) {
        return fail(ErrorCode::protocol, "the guest sent '{}' on stream {} {}", type_name, header.stream, why);
    };
    bool empty = header.type == Type::call || header.type == Type::out_end || header.type == Type::gone;
    if (empty && header.length != 0) return refuse("with a payload");
    auto found = streams_.find(header.stream);
    if (header.type == Type::call) {
        if (found != streams_.end()) return refuse("a second time");
        if (events_ == nullptr) return refuse("which nobody takes");
        if (streams_.size() >= wire::kMaxCalls) return refuse("beyond the number of calls that it may make");
        return {};
    }
    if (found == streams_.end() || found->second.gone) return refuse("which is no call");
    switch (header.type) {
        case Type::out:
        case Type::out_end:
            return found->second.ended ? Result<>(refuse("after its end")) : Result<>();
        case Type::credit:
        case Type::gone:
            return {};
        default:
            return refuse("which is a call");
    }
}

Result<> CallStreams::take(const wire::Header& header, std::string_view payload) {
    std::uint16_t stream = header.stream;
    switch (header.type) {
        case Type::call:
            streams_.emplace(stream, State{});
            events_->call_opened(stream);
            return {};
        case Type::out:
            return take_bytes(stream, payload);
        case Type::out_end:
            streams_.at(stream).ended = true;
            if (!streams_.at(stream).hung_up) events_->call_ended(stream);
            return {};
        case Type::credit:
            return take_credit(stream, payload);
        default:
            take_gone(stream);
            return {};
    }
}

Result<> CallStreams::take_bytes(std::uint16_t stream, std::string_view payload) {
    State& state = streams_.at(stream);
    if (payload.empty() || payload.size() > state.window)
        return fail(ErrorCode::protocol, "the guest sent {} bytes on call {} with credit for {}", payload.size(),
                    stream, state.window);
    state.window -= payload.size();
    if (!state.hung_up) events_->call_bytes(stream, payload);
    return {};
}

Result<> CallStreams::take_credit(std::uint16_t stream, std::string_view payload) {
    wire::Credit credit;
    State& state = streams_.at(stream);
    if (!wire::decode(payload, credit) || credit.channel != static_cast<std::uint8_t>(Type::in))
        return fail(ErrorCode::protocol, "the guest sent a malformed 'credit' on call {}", stream);
    // It can only give back what it has taken.
    if (credit.bytes == 0 || credit.bytes > wire::kInitialCredit - state.room)
        return fail(ErrorCode::protocol, "the guest granted {} bytes of credit on call {}, having taken {}",
                    credit.bytes, stream, wire::kInitialCredit - state.room);
    state.room += credit.bytes;
    if (!state.hung_up) events_->call_room(stream);
    return {};
}

void CallStreams::take_gone(std::uint16_t stream) {
    State& state = streams_.at(stream);
    state.gone = true;
    if (state.hung_up)
        streams_.erase(stream);
    else
        events_->call_gone(stream);
}

}  // namespace vmette::vm
