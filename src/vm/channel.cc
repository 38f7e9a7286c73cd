#include "vm/channel.h"

#include <algorithm>

#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

#include "base/text.h"
#include "vm/guarded.h"

namespace vmette::vm {
namespace {

/// Set-up, commands and full windows of stdin of all of them fit; only a guest that has stopped reading gets here.
constexpr std::size_t kMaxQueued = 16 * kMiB;
/// No more commands are begun while so much waits: each may be as long as the wire takes.
constexpr std::size_t kMaxQueuedForMore = 4 * kMiB;

template <class T>
Result<std::string> encoded(const T& message, std::string_view what) {
    std::string payload = wire::encode(message);
    if (payload.size() > wire::kMaxPayload)
        return fail(ErrorCode::bad_input, "{} is {} long, and the guest takes {}", what, human_size(payload.size()),
                    human_size(wire::kMaxPayload));
    // The guest refuses what its reader refuses; find out here, where it can be said.
    T again;
    if (!wire::decode(payload, again))
        return fail(ErrorCode::bad_input, "{} holds a text longer than {} or more than {} entries", what,
                    human_size(wire::kMaxString), wire::kMaxList);
    return payload;
}

}  // namespace

Channel::Channel(asio::io_context& io, Fd socket, const Clock& clock, ChannelEvents& events, SideEvents* sides,
                 CallEvents* calls)
    : socket_(io, asio::local::stream_protocol(), socket.release()),
      events_(events),
      protocol_(clock, events, sides, calls) {
    asio::error_code ignored;
    socket_.non_blocking(true, ignored);
}

void Channel::start(std::weak_ptr<void> owner) {
    owner_ = std::move(owner);
    read();
}

void Channel::close() {
    closed_ = true;
    protocol_.stop();
    asio::error_code ignored;
    socket_.close(ignored);
}

void Channel::read() {
    if (closed_) return;
    socket_.async_read_some(asio::buffer(buffer_), guarded(owner_, [this](asio::error_code failed, std::size_t bytes) {
                                if (closed_) return;
                                if (failed) return events_.channel_ended(protocol_.end());
                                received(bytes);
                                read();
                            }));
}

void Channel::drain() {
    while (!closed_) {
        asio::error_code failed;
        std::size_t bytes = socket_.read_some(asio::buffer(buffer_), failed);
        if (failed) return;
        received(bytes);
    }
}

void Channel::received(std::size_t bytes) {
    auto taken = protocol_.feed({buffer_.data(), bytes});
    if (closed_) return;
    if (taken) return grant_artifacts();
    close();
    events_.channel_broken(taken.error());
}

void Channel::grant_artifacts() {
    std::size_t bytes = protocol_.take_artifact_grant();
    if (bytes == 0) return;
    constexpr auto kArtifacts = static_cast<std::uint8_t>(wire::Type::artifacts);
    send(wire::frame(wire::Type::credit, 0, wire::encode(wire::Credit{kArtifacts, static_cast<std::uint32_t>(bytes)})));
}

void Channel::send(std::string frame) {
    if (closed_) return;
    queued_ += frame.size();
    queue_.push_back(std::move(frame));
    if (!writing_) write();
    if (queued_ <= kMaxQueued) return;
    close();
    asio::post(socket_.get_executor(), guarded(owner_, [this] {
                   events_.channel_broken(Error{ErrorCode::protocol, "the guest stopped reading its channel", nullptr});
               }));
}

void Channel::write() {
    writing_ = true;
    asio::async_write(socket_, asio::buffer(queue_.front()),
                      guarded(owner_, [this](asio::error_code failed, std::size_t) {
                          writing_ = false;
                          // A closed other end is told by the reader, after what it still holds.
                          if (closed_ || failed) return;
                          queued_ -= queue_.front().size();
                          queue_.pop_front();
                          if (!queue_.empty()) write();
                      }));
}

Result<> Channel::setup(const wire::Setup& setup) {
    VMETTE_TRY(auto payload, encoded(setup, "the guest's set-up (certificates and secrets included)"));
    protocol_.sent_setup();
    send(wire::frame(wire::Type::setup, 0, payload));
    return {};
}

Result<> Channel::exec(const wire::Exec& exec) {
    VMETTE_TRY(auto payload, encoded(exec, "the command with its environment"));
    protocol_.sent_exec();
    send(wire::frame(wire::Type::exec, kCommandStream, payload));
    return {};
}

void Channel::send_input(std::uint16_t stream, std::string_view bytes) {
    while (!bytes.empty()) {
        auto piece = bytes.substr(0, wire::kMaxChunk);
        bytes.remove_prefix(piece.size());
        send(wire::frame(wire::Type::in, stream, piece));
    }
}

void Channel::grant(std::uint16_t stream, Stream kind, std::size_t bytes) {
    auto channel = static_cast<std::uint8_t>(kind == Stream::out ? wire::Type::out : wire::Type::err);
    send(wire::frame(wire::Type::credit, stream,
                     wire::encode(wire::Credit{channel, static_cast<std::uint32_t>(bytes)})));
}

void Channel::input(std::string_view bytes) {
    protocol_.sent_stdin(bytes.size());
    send_input(kCommandStream, bytes);
}

void Channel::input_end() { send(wire::frame(wire::Type::in_end, kCommandStream, {})); }

void Channel::signal(std::uint32_t number) {
    send(wire::frame(wire::Type::signal, kCommandStream, wire::encode(wire::SignalRequest{number})));
}

void Channel::resize(const wire::Resize& size) {
    send(wire::frame(wire::Type::resize, kCommandStream, wire::encode(size)));
}

Result<> Channel::finish(const ArtifactRequest& artifacts) {
    wire::Finish finish;
    for (const auto& wish : artifacts.wishes) finish.artifacts.push_back({wish.glob, wish.max_bytes});
    VMETTE_TRY(auto payload, encoded(finish, "the list of artifacts"));
    protocol_.sent_finish(artifacts);
    send(wire::frame(wire::Type::finish, 0, payload));
    return {};
}

void Channel::enough() {
    protocol_.sent_enough();
    send(wire::frame(wire::Type::enough, 0, {}));
}

void Channel::consumed(Stream stream, std::size_t bytes) {
    std::size_t& owed = owed_[stream == Stream::out ? 0 : 1];
    owed += bytes;
    if (owed < kGrantStep || phase() != Phase::running) return;
    protocol_.granted(stream, owed);
    grant(kCommandStream, stream, owed);
    owed = 0;
}

Result<std::uint16_t> Channel::open_side(const wire::Exec& exec) {
    if (queued_ > kMaxQueuedForMore)
        return fail(ErrorCode::busy, "the guest has not read what it was sent before; try again");
    VMETTE_TRY(auto payload, encoded(exec, "the command with its environment"));
    std::uint16_t stream = protocol_.sides().open();
    send(wire::frame(wire::Type::exec, stream, payload));
    return stream;
}

void Channel::side_input(std::uint16_t stream, std::string_view bytes) {
    protocol_.sides().sent_stdin(stream, bytes.size());
    send_input(stream, bytes);
}

void Channel::side_input_end(std::uint16_t stream) { send(wire::frame(wire::Type::in_end, stream, {})); }

void Channel::side_signal(std::uint16_t stream, std::uint32_t number) {
    send(wire::frame(wire::Type::signal, stream, wire::encode(wire::SignalRequest{number})));
}

void Channel::side_resize(std::uint16_t stream, const wire::Resize& size) {
    send(wire::frame(wire::Type::resize, stream, wire::encode(size)));
}

void Channel::side_grant(std::uint16_t stream, Stream kind, std::size_t bytes) {
    protocol_.sides().granted(stream, kind, bytes);
    grant(stream, kind, bytes);
}

void Channel::call_grant(std::uint16_t stream, std::size_t bytes) {
    protocol_.calls().granted(stream, bytes);
    grant(stream, Stream::out, bytes);
}

void Channel::call_input(std::uint16_t stream, std::string_view bytes) {
    protocol_.calls().sent(stream, bytes.size());
    send_input(stream, bytes);
}

void Channel::call_input_end(std::uint16_t stream) { send(wire::frame(wire::Type::in_end, stream, {})); }

void Channel::call_taken(std::uint16_t stream) { send(wire::frame(wire::Type::taken, stream, {})); }

void Channel::call_hang_up(std::uint16_t stream) {
    protocol_.calls().hung_up(stream);
    send(wire::frame(wire::Type::hang_up, stream, {}));
}

}  // namespace vmette::vm
