#pragma once
/// One call: a program of the guest on one side, a stream of the channel on the other.

#include <cstdint>
#include <string>
#include <string_view>

#include "../protocol.h"
#include "call_place.h"
#include "channel.h"
#include "loop.h"

namespace vmette::guest {

/// Lives from the program's connection until both sides have said their last word. `socket` is non-blocking.
class Call {
public:
    Call(Loop& loop, Channel& channel, Fd socket, std::uint16_t stream);
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call();

    std::uint16_t stream() const { return stream_; }
    /// Nothing more comes of it, nor from the host: its number is free.
    bool is_over() const { return !socket_ && (!told_ || host_left_); }

    void on_credit(std::uint32_t bytes);
    /// False when the host sent more than it had credit for.
    bool on_input(std::string_view bytes);
    void on_input_end();
    void on_taken();
    void on_hang_up();
    /// The channel takes bulk data again.
    void on_room() { update(); }
    /// The session ends: so does this, whatever it still holds.
    void leave();

private:
    void on_ready();
    void take_kind();
    void take_output();
    void write_input();
    void grant(std::size_t bytes);
    /// Watches for what can be dealt with now, or leaves when all is done.
    void update();
    std::uint32_t wanted_events() const;
    void unwatch();

    Loop& loop_;
    Channel& channel_;
    Fd socket_;
    const std::uint16_t stream_;
    CallKind kind_ = CallKind::send;
    bool told_ = false;      ///< the host knows of it
    bool ended_ = false;     ///< the program's last byte was sent
    bool answered_ = false;  ///< the host's last byte has come
    bool host_left_ = false;
    std::uint64_t credit_ = 0;
    std::string input_;  ///< not yet taken by the program
    std::size_t input_credit_ = wire::kInitialCredit;
    std::size_t input_granted_back_ = 0;
    std::uint32_t watched_ = 0;  ///< events + 1; 0: not watched
    On<Call, &Call::on_ready> watcher_{*this};
};

}  // namespace vmette::guest
