#pragma once
/// Each call goes to a command of the user's, started on the host for it alone.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <asio/posix/stream_descriptor.hpp>

#include "base/process.h"
#include "base/token_bucket.h"
#include "scheduler/calls/desk.h"

namespace vmette::scheduler::calls {

/// Commands that run at a time, and how often one may be begun: a guest that calls without end costs no more. Calls
/// beyond that wait.
constexpr std::size_t kMaxCommands = 32;
constexpr double kCommandsPerSecond = 20;

class CommandDesk final : public Desk {
public:
    /// `command` is a line for /bin/sh. Its stdin is what the program sends, its stdout goes back to the program, its
    /// stderr is ours; VMETTE_RUN_ID is in its environment. `warn` is told what a person should know.
    CommandDesk(asio::io_context& io, std::string command, std::string_view run_id, Warn warn);

private:
    struct Running {
        Running(asio::io_context& io, Process started, std::shared_ptr<Link> caller)
            : process(std::move(started)), end(io), link(std::move(caller)) {}
        Process process;
        asio::posix::stream_descriptor end;
        std::shared_ptr<Link> link;
    };

    void serve() override;
    void stop_serving() override { rate_timer_.cancel(); }
    bool is_idle() const override { return running_.empty(); }
    void give_up() override;
    /// Of the commands that may be begun now takes one; false, with a timer set, when there is none.
    bool take_turn();
    Result<> begin(const std::shared_ptr<Link>& link);
    void await_end(const std::shared_ptr<Running>& command);
    void ended(const std::shared_ptr<Running>& command, int status);

    const std::string command_;
    std::vector<std::string> environment_;
    Warn warn_;
    std::set<std::shared_ptr<Running>> running_;
    asio::steady_timer rate_timer_;
    bool rate_waits_ = false, failure_told_ = false;
    TokenBucket turns_;
};

}  // namespace vmette::scheduler::calls
