#include "vm/side_streams.h"

#include <utility>

namespace vmette::vm {
namespace {

using wire::Type;

std::size_t index(Stream kind) { return kind == Stream::out ? 0 : 1; }

Failure malformed(const wire::Header& header, std::string_view what) {
    return fail(ErrorCode::protocol, "the guest sent a malformed '{}' on stream {}", what, header.stream);
}

}  // namespace

std::uint16_t SideStreams::open() {
    auto after = [](std::uint16_t stream) { return static_cast<std::uint16_t>((stream + 1) % wire::kFirstCallStream); };
    while (next_ < kFirstSideStream || streams_.contains(next_)) next_ = after(next_);
    streams_.emplace(next_, State{});
    return std::exchange(next_, after(next_));
}

std::size_t SideStreams::stdin_room(std::uint16_t stream) const {
    auto found = streams_.find(stream);
    return found == streams_.end() ? 0 : found->second.stdin_room;
}

void SideStreams::sent_stdin(std::uint16_t stream, std::size_t bytes) { streams_.at(stream).stdin_room -= bytes; }

void SideStreams::granted(std::uint16_t stream, Stream kind, std::size_t bytes) {
    streams_.at(stream).window[index(kind)] += bytes;
}

Result<> SideStreams::check(const wire::Header& header, std::string_view type_name) const {
    auto found = streams_.find(header.stream);
    if (found == streams_.end())
        return fail(ErrorCode::protocol, "the guest sent '{}' on stream {}", type_name, header.stream);
    bool running = found->second.running;
    switch (header.type) {
        case Type::started:
        case Type::failed:
            if (!running) return {};
            return fail(ErrorCode::protocol, "the guest sent '{}' on stream {} after started", type_name,
                        header.stream);
        case Type::out:
        case Type::err:
        case Type::exited:
            if (running) return {};
            return fail(ErrorCode::protocol, "the guest sent '{}' on stream {} before started", type_name,
                        header.stream);
        default:
            return {};
    }
}

Result<> SideStreams::take(const wire::Header& header, std::string_view payload) {
    std::uint16_t stream = header.stream;
    switch (header.type) {
        case Type::started: {
            wire::Started started;
            if (!wire::decode(payload, started)) return malformed(header, "started");
            streams_.at(stream).running = true;
            events_->side_started(stream);
            return {};
        }
        case Type::out:
            return take_output(stream, Stream::out, payload);
        case Type::err:
            return take_output(stream, Stream::err, payload);
        case Type::exited: {
            wire::Exited exited;
            if (!wire::decode(payload, exited)) return malformed(header, "exited");
            streams_.erase(stream);
            events_->side_exited(stream, exited);
            return {};
        }
        case Type::failed: {
            wire::Failure failure;
            if (!wire::decode(payload, failure)) return malformed(header, "failed");
            streams_.erase(stream);
            events_->side_failed(stream, failure);
            return {};
        }
        default:
            return take_credit(stream, payload);
    }
}

Result<> SideStreams::take_output(std::uint16_t stream, Stream kind, std::string_view payload) {
    std::size_t& window = streams_.at(stream).window[index(kind)];
    if (payload.empty() || payload.size() > window)
        return fail(ErrorCode::protocol, "the guest sent {} bytes of output on stream {} with credit for {}",
                    payload.size(), stream, window);
    window -= payload.size();
    events_->side_output(stream, kind, payload);
    return {};
}

Result<> SideStreams::take_credit(std::uint16_t stream, std::string_view payload) {
    wire::Credit credit;
    std::size_t& room = streams_.at(stream).stdin_room;
    if (!wire::decode(payload, credit) || credit.channel != static_cast<std::uint8_t>(Type::in))
        return fail(ErrorCode::protocol, "the guest sent a malformed 'credit' on stream {}", stream);
    // It can only give back what it has taken.
    if (credit.bytes == 0 || credit.bytes > wire::kInitialCredit - room)
        return fail(ErrorCode::protocol, "the guest granted {} bytes of credit on stream {}, having taken {}",
                    credit.bytes, stream, wire::kInitialCredit - room);
    room += credit.bytes;
    events_->side_stdin_room(stream);
    return {};
}

}  // namespace vmette::vm
