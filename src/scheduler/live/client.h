#pragma once
/// A client of a run's socket, as the verbs of the command line are. Blocking; one thread.

#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/layout.h"
#include "base/units.h"
#include "scheduler/live/frames.h"

namespace vmette::scheduler::live {

class Client {
public:
    /// Connects and asks. The answer is the first frame. Errors as of connect_to(); bad_input (longer than
    /// kMaxRequest).
    static Result<Client> ask(const Layout& layout, std::string_view run_id, const Request& request);

    /// For poll(2), when next() had nothing.
    int fd() const { return socket_.get(); }
    /// Waits until it can be sent. Errors: not_found (the run's process is gone).
    Result<> send(Type type, std::string_view payload);
    /// The next frame, of what has come until now; nothing when none is whole.
    Result<std::optional<Frame>> next();
    /// Reads what is there. False at the end.
    Result<bool> receive();
    /// Waits for a frame, at most so long (`timeout`); nothing: the other end closed.
    Result<std::optional<Frame>> wait(std::optional<Duration> limit = std::nullopt);

private:
    explicit Client(Fd socket) : socket_(std::move(socket)) {}
    Fd socket_;
    FrameReader reader_{false};
};

/// What a `refused` or `failed` says, as an error.
Error refusal(const Frame& frame);

}  // namespace vmette::scheduler::live
