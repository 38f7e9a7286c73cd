#pragma once
/// The calls of the guest's programs that came over the channel, each with somebody who attends to it.

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "base/clock.h"
#include "base/token_bucket.h"
#include "vm/call_streams.h"
#include "vm/channel.h"
#include "vm/session.h"

namespace vmette::vm {

/// Calls end no oftener than this: a guest that calls without end waits, since its numbers are in use until then.
constexpr double kCallsAtOnce = 256, kCallsPerSecond = 500;

/// A part of a LiveSession.
class GuestCalls final : public CallEvents {
public:
    using Arrival = std::function<void(std::unique_ptr<GuestCall>)>;
    GuestCalls(asio::io_context& io, const Clock& clock, Channel& channel, Arrival arrival);

    /// `self` is this object, for the handles: it lives as long as the session.
    void start(std::weak_ptr<GuestCalls> self) { self_ = std::move(self); }
    /// No event comes after this, and the handles do nothing.
    void close();

    void attend(std::uint16_t stream, CallObserver& observer);
    void accept(std::uint16_t stream);
    std::size_t room(std::uint16_t stream) const;
    void send(std::uint16_t stream, std::string_view bytes);
    void end(std::uint16_t stream);
    void consumed(std::uint16_t stream, std::size_t bytes);
    void hang_up(std::uint16_t stream);

private:
    struct Entry {
        CallObserver* observer = nullptr;
        std::size_t owed = 0;     ///< dealt with and not granted yet
        std::size_t in_hand = 0;  ///< given to the observer and not dealt with
        bool ended = false;       ///< the program's last byte has come
        bool closed = false;      ///< ours has been sent
    };

    void call_opened(std::uint16_t stream) override;
    void call_bytes(std::uint16_t stream, std::string_view bytes) override;
    void call_ended(std::uint16_t stream) override;
    void call_room(std::uint16_t stream) override;
    void call_gone(std::uint16_t stream) override;
    /// Says the last word of those whose turn it is.
    void hang_up_more();
    void tell_if_taken(std::uint16_t stream, const Entry& entry);
    CallObserver* observer_of(std::uint16_t stream);

    const Clock& clock_;
    Channel& channel_;
    Arrival arrival_;
    TokenBucket turns_;
    asio::steady_timer turn_timer_;
    std::deque<std::uint16_t> leaving_;       ///< to be hung up when it is their turn
    std::map<std::uint16_t, Entry> entries_;  ///< those that somebody attends to, or will
    std::weak_ptr<GuestCalls> self_;
};

}  // namespace vmette::vm
