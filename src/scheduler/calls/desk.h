#pragma once
/// Where the calls of a run's guest are taken: by clients of a socket (socket_desk.h), or by commands (command_desk.h).

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "base/clock.h"
#include "scheduler/calls/link.h"

namespace vmette::scheduler::calls {

/// Lives on the thread of the run; nothing here blocks.
class Desk {
public:
    using Warn = std::function<void(const std::string&)>;

    Desk(const Desk&) = delete;
    Desk& operator=(const Desk&) = delete;
    virtual ~Desk();

    /// Calls for which nobody is there yet wait, and their programs with them.
    void take(std::unique_ptr<vm::GuestCall> call);
    /// The machine is gone. `done` is called once, when all that its programs sent has been taken, or the time for that
    /// is up.
    void leave(std::function<void()> done);

protected:
    Desk(asio::io_context& io, Duration farewell) : io_(io), farewell_(farewell), farewell_timer_(io) {}

    asio::io_context& io() { return io_; }
    bool is_leaving() const { return leaving_; }
    bool anybody_waits();
    /// Requires that somebody waits. It is the desk's until it is over.
    std::shared_ptr<Link> next_caller();
    /// Calls `done` of leave() when its time has come.
    void finish_if_done();

    /// Joins callers that wait, as far as that can be done now.
    virtual void serve() = 0;
    virtual void stop_serving() = 0;
    /// Beside the calls nothing keeps the run from its end.
    virtual bool is_idle() const { return true; }
    /// The time is up.
    virtual void give_up() {}

private:
    void forget(const std::weak_ptr<Link>& link);

    asio::io_context& io_;
    const Duration farewell_;
    asio::steady_timer farewell_timer_;
    bool leaving_ = false;
    std::function<void()> done_;
    std::deque<std::shared_ptr<Link>> waiting_;
    std::set<std::shared_ptr<Link>> joined_;
};

}  // namespace vmette::scheduler::calls
