#pragma once
/// Calls go to the clients of the run's second socket, `runs/<id>/vsock`: each client gets one call, in order.

#include <asio/posix/stream_descriptor.hpp>

#include "base/error.h"
#include "base/layout.h"
#include "scheduler/calls/desk.h"
#include "scheduler/live/place.h"

namespace vmette::scheduler::calls {

class SocketDesk final : public Desk {
public:
    /// Makes the socket. Errors: as of live::Place::make().
    static Result<std::unique_ptr<SocketDesk>> open(asio::io_context& io, const Layout& layout,
                                                    std::string_view run_id);

private:
    SocketDesk(asio::io_context& io, live::Place place, Fd listener);
    void serve() override;
    void stop_serving() override;
    /// The next client that is there, or none.
    Fd take_client();
    void pause();

    live::Place place_;
    asio::posix::stream_descriptor listener_;
    asio::steady_timer pause_;
    bool watching_ = false;
};

}  // namespace vmette::scheduler::calls
