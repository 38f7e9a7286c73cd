#pragma once
/// Frames to and from the host, over the port; nothing here blocks.

#include <deque>
#include <string>
#include <string_view>

#include "../protocol.h"
#include "loop.h"
#include "support.h"

namespace vmette::guest {

class FrameHandler {
public:
    virtual void on_frame(wire::Header header, std::string_view payload) = 0;
    /// What the host sends is no frame; nothing more is read.
    virtual void on_garbage() = 0;
    /// has_room() became true again.
    virtual void on_room() = 0;
    /// The host closed its end.
    virtual void on_host_gone() = 0;

protected:
    ~FrameHandler() = default;
};

class Channel {
public:
    Channel(Loop& loop, Fd port, FrameHandler& handler);
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// Queues a frame behind all others and writes what the port takes.
    void send(wire::Type type, std::uint16_t stream, std::string_view payload);
    /// Queues it ahead of every frame that has not begun: beats and credit, whose order to the rest means nothing.
    void send_urgent(wire::Type type, std::uint16_t stream, std::string_view payload);
    /// False while so much is queued that bulk data had better stay in its pipe.
    bool has_room() const { return queued_ < kRoom; }
    /// Called by the loop; public for the first attempt, which need not wait for it.
    void on_port();

private:
    static constexpr std::size_t kRoom = std::size_t{128} << 10;

    void write_some();
    void read_some();
    void take_frames();

    Loop& loop_;
    Fd port_;
    FrameHandler& handler_;
    On<Channel, &Channel::on_port> watcher_{*this};
    std::deque<std::string> queue_;
    std::size_t queued_ = 0;  ///< bytes of queue_, less what is already sent of the first
    std::size_t sent_ = 0;    ///< of the first frame
    std::string input_;
    bool connected_ = false;  ///< the host's end has been seen open
    bool broken_ = false;
};

}  // namespace vmette::guest
