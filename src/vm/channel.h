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

/// Must be a part of `owner`'s object; its handlers run only while that lives. One thread. What the guest has not read
/// yet is queued, bounded: credit bounds stdin, and a guest that reads nothing while it makes us answer is broken.
class Channel {
public:
    /// `socket` is connected; non-blocking mode is set here.
    Channel(asio::io_context& io, Fd socket, const Clock& clock, ChannelEvents& events);

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
    /// The owner has dealt with so many bytes; the guest hears of it in large steps.
    void consumed(Stream stream, std::size_t bytes);

    Phase phase() const { return protocol_.phase(); }
    std::size_t stdin_room() const { return protocol_.stdin_room(); }

private:
    void read();
    void received(std::size_t bytes);
    void grant_artifacts();
    void send(std::string frame);
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
