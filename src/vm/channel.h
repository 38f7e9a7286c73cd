#pragma once
/// The channel to the guest: GuestProtocol on a stream socket.

#include <array>
#include <deque>
#include <memory>
#include <string>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "vm/guest_protocol.h"

namespace vmette::vm {

/// Why nothing more comes.
class ChannelEvents : public GuestEvents {
public:
    /// The other end is closed; `cut` says so when that was inside a frame.
    virtual void channel_ended(const Result<>& cut) = 0;
    /// The guest broke the wire format, or stopped reading. The channel is closed.
    virtual void channel_broken(const Error& error) = 0;
};

/// Granting in quarters keeps the guest sending while costing few frames.
constexpr std::size_t kGrantStep = wire::kInitialCredit / 4;

/// Must be a part of `owner`'s object; its handlers run only while that lives. One thread. What the guest has not read
/// yet is queued, bounded: credit bounds stdin, and a guest that reads nothing while it makes us answer is broken.
class Channel {
public:
    /// `socket` is connected; non-blocking mode is set here. `sides` may be null when open_side() is never called,
    /// `calls` when the guest is to make none.
    Channel(asio::io_context& io, Fd socket, const Clock& clock, ChannelEvents& events, SideEvents* sides = nullptr,
            CallEvents* calls = nullptr);

    void start(std::weak_ptr<void> owner);
    /// Takes what has arrived already, without waiting: for the last words of a machine that is gone.
    void drain();
    /// Fails when what has come so far ends inside a frame.
    Result<> whole() const { return protocol_.end(); }
    /// No event comes after this.
    void close();

    /// The guest was greeted before its machine was frozen: it waits for its set-up.
    void restored() { protocol_.restored(); }
    /// These fail with `bad_input`, and send nothing, when the message is larger than the wire takes.
    Result<> setup(const wire::Setup& setup);
    Result<> exec(const wire::Exec& exec);
    void input(std::string_view bytes);
    void input_end();
    void signal(std::uint32_t number);
    void resize(const wire::Resize& size);
    Result<> finish(const ArtifactRequest& artifacts);
    void enough();
    /// A command beside the run's own; its stream's number. Fails also with `busy`, when the guest has not read what
    /// was sent before. The functions below require that the stream is open.
    Result<std::uint16_t> open_side(const wire::Exec& exec);
    std::size_t side_stdin_room(std::uint16_t stream) const { return protocol_.sides().stdin_room(stream); }
    void side_input(std::uint16_t stream, std::string_view bytes);
    void side_input_end(std::uint16_t stream);
    void side_signal(std::uint16_t stream, std::uint32_t number);
    void side_resize(std::uint16_t stream, const wire::Resize& size);
    void side_grant(std::uint16_t stream, Stream kind, std::size_t bytes);
    /// What is said to one of the guest's calls. All require that the stream is known and was not hung up.
    std::size_t call_room(std::uint16_t stream) const { return protocol_.calls().room(stream); }
    void call_grant(std::uint16_t stream, std::size_t bytes);
    void call_input(std::uint16_t stream, std::string_view bytes);
    void call_input_end(std::uint16_t stream);
    void call_taken(std::uint16_t stream);
    void call_hang_up(std::uint16_t stream);
    /// The owner has dealt with so many bytes; the guest hears of it in large steps.
    void consumed(Stream stream, std::size_t bytes);

    Phase phase() const { return protocol_.phase(); }
    std::size_t stdin_room() const { return protocol_.stdin_room(); }

private:
    void read();
    void received(std::size_t bytes);
    void grant_artifacts();
    void send(std::string frame);
    void send_input(std::uint16_t stream, std::string_view bytes);
    void grant(std::uint16_t stream, Stream kind, std::size_t bytes);
    void write();

    asio::local::stream_protocol::socket socket_;
    ChannelEvents& events_;
    GuestProtocol protocol_;
    std::weak_ptr<void> owner_;
    std::array<char, wire::kMaxChunk> buffer_;
    std::deque<std::string> queue_;
    std::size_t queued_ = 0;
    std::size_t owed_[2] = {0, 0};  ///< consumed and not granted yet, of out and err
    bool writing_ = false, closed_ = false;
};

}  // namespace vmette::vm
