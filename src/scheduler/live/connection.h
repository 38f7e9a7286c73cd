#pragma once
/// One client of a run's socket, from its request to its end.

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>

#include "scheduler/live/frames.h"

namespace vmette::scheduler::live {

class Server;

/// Held by shared_ptr: its handlers keep it while they are under way.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(Server& server, asio::local::stream_protocol::socket socket);

    void start();
    /// There is no place for it: says so, as far as that can be done at once.
    void turn_away();
    /// See Server::leave() and tell_end().
    void machine_gone();
    void tell_end(int exit_code);
    /// Nothing follows.
    void close();

private:
    enum class State { greeting, watching, closed };

    void read();
    void take(const Frame& frame);
    void take_request(const Frame& frame);
    void stop(const Request& request);
    void watch();
    void send(Type type, std::string_view payload);
    void refuse(const Error& error);
    void write();
    /// Ends it, and lets go of it.
    void drop(std::string_view why);

    Server& server_;
    asio::local::stream_protocol::socket socket_;
    asio::steady_timer patience_;
    State state_ = State::greeting;
    FrameReader reader_{true};
    std::array<char, 16384> buffer_;
    std::deque<std::string> queue_;
    std::size_t queued_ = 0;
    bool writing_ = false;
    bool last_sent_ = false;  ///< once the queue is empty, the connection ends
};

}  // namespace vmette::scheduler::live
