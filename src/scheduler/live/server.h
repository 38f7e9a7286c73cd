#pragma once
/// The run's side of its control socket. Everything happens on the thread of the run, between its own events: nothing
/// here blocks, and what a client does not take is bounded.

#include <functional>
#include <memory>
#include <set>
#include <string_view>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>

#include "base/error.h"
#include "scheduler/live/frames.h"
#include "scheduler/live/place.h"
#include "vm/session.h"

namespace vmette::scheduler::live {

class Connection;

/// What clients may ask of a run.
class ServedRun {
public:
    virtual ~ServedRun() = default;
    /// End it: with grace, or (`now`, or when it is being ended already) at once.
    virtual void on_stop_request(bool now) = 0;
    /// Begins what an exec, a pack or an unpack asks for. Errors as of vm::Session::open_side(), and busy: the guest is
    /// not ready yet, or the run ends.
    virtual Result<std::unique_ptr<vm::SideCommand>> open_command(const Request& request,
                                                                  vm::SideObserver& observer) = 0;
};

/// Connections that a run serves at a time; more are refused.
constexpr std::size_t kMaxConnections = 64;
/// So many more may ask for its end, which nobody can prevent by being there.
constexpr std::size_t kStopConnections = 8;

class Server {
public:
    /// Makes the socket. Clients may connect from now on, and are answered once serve() was called and `io` runs.
    static Result<std::unique_ptr<Server>> open(asio::io_context& io, const Layout& layout, std::string_view run_id);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    /// Closes all connections, by which clients learn that the run's row is final.
    ~Server();

    /// `run` is borrowed until leave().
    void serve(ServedRun& run);
    /// The machine is gone: who watches still waits for the end of the row. `flushed` is called once, when all clients
    /// have taken what was meant for them, or have had a second for it.
    void leave(std::function<void()> flushed);
    /// The row is written: tells those who wait what `vmette up` ends with. Needs no running `io`.
    void tell_end(int exit_code);

    asio::io_context& io() { return io_; }
    /// Null before serve() and after leave().
    ServedRun* run() { return run_; }
    void forget(const std::shared_ptr<Connection>& connection);
    /// A connection has nothing more to write for now.
    void flushed();

private:
    Server(asio::io_context& io, Place place);
    void accept();
    void take(asio::local::stream_protocol::socket socket);

    asio::io_context& io_;
    Place place_;
    asio::local::stream_protocol::acceptor acceptor_;
    asio::steady_timer pause_;
    ServedRun* run_ = nullptr;
    std::function<void()> when_flushed_;
    std::set<std::shared_ptr<Connection>> connections_;
};

}  // namespace vmette::scheduler::live
