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
#include "scheduler/live/relay.h"

namespace vmette::scheduler::live {

class Server;

/// Held by shared_ptr: its handlers keep it while they are under way.
class Connection final : public FrameSink, public std::enable_shared_from_this<Connection> {
public:
    Connection(Server& server, asio::local::stream_protocol::socket socket);

    /// `has_place`: else the run may be asked for nothing but its end.
    void start(bool has_place);
    /// There is no place for it: says so, as far as that can be done at once.
    void turn_away();
    /// See Server::leave() and tell_end().
    void machine_gone();
    void tell_end(int exit_code);
    /// Nothing waits to be written.
    bool is_flushed() const { return queue_.empty(); }
    /// Nothing follows.
    void close();

private:
    enum class State { greeting, watching, commanding, closed };
    struct Queued {
        std::string bytes;
        std::optional<vm::Stream> kind;  ///< of output: whose credit it holds
        std::size_t size = 0;            ///< bytes of output in it
    };

    void read();
    void take(const Frame& frame);
    void take_request(const Frame& frame);
    void stop(const Request& request);
    void watch();
    void open_command(const Request& request);
    void send(Type type, std::string_view payload) { send_frame(type, payload, std::nullopt); }
    void send_frame(Type type, std::string_view payload, std::optional<vm::Stream> kind) override;
    void send_last(Type type, std::string_view payload) override;
    void written(const Queued& queued);
    void refuse(const Error& error);
    void write();
    /// Ends it, and lets go of it.
    void drop(std::string_view why);

    Server& server_;
    asio::local::stream_protocol::socket socket_;
    asio::steady_timer patience_;
    State state_ = State::greeting;
    bool has_place_ = true;
    FrameReader reader_{true};
    std::array<char, 16384> buffer_;
    std::deque<Queued> queue_;
    std::size_t queued_ = 0;
    bool writing_ = false;
    std::unique_ptr<Relay> relay_;
    bool last_sent_ = false;  ///< once the queue is empty, the connection ends
};

}  // namespace vmette::scheduler::live
