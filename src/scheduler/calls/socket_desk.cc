#include "scheduler/calls/socket_desk.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include "base/log.h"

namespace vmette::scheduler::calls {
namespace {

/// What clients do not take in so long after the machine's end is lost to them: the run does not wait.
constexpr std::chrono::seconds kFarewell{1};
/// When the process has no descriptor left for a client, the next attempt comes so much later.
constexpr std::chrono::milliseconds kPause{200};

/// Both directions are closed: whoever was there did not wait for a call.
bool has_left(const Fd& client) {
    pollfd state{client.get(), 0, 0};
    return ::poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) != 0;
}

}  // namespace

Result<std::unique_ptr<SocketDesk>> SocketDesk::open(asio::io_context& io, const Layout& layout,
                                                     std::string_view run_id) {
    VMETTE_TRY(auto place, live::Place::make(layout, run_id, live::kCallSocket));
    VMETTE_TRY(Fd listener, duplicate(place.listener()));
    return std::unique_ptr<SocketDesk>(new SocketDesk(io, std::move(place), std::move(listener)));
}

SocketDesk::SocketDesk(asio::io_context& io, live::Place place, Fd listener)
    : Desk(io, kFarewell), place_(std::move(place)), listener_(io, listener.release()), pause_(io) {}

/// Clients wait in the socket's queue until there is a call for them.
void SocketDesk::serve() {
    if (watching_ || is_leaving() || !anybody_waits()) return;
    watching_ = true;
    listener_.async_wait(asio::posix::stream_descriptor::wait_read, [this](asio::error_code stopped) {
        if (stopped) return;
        watching_ = false;
        while (anybody_waits()) {
            Fd client = take_client();
            if (!client) break;
            auto copy = duplicate(client.get());
            if (!copy) return pause();
            next_caller()->join(std::move(client), *std::move(copy));
        }
        if (!watching_) serve();
    });
}

Fd SocketDesk::take_client() {
    for (;;) {
        Fd client(::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!client && (errno == ECONNABORTED || errno == EINTR)) continue;
        if (!client && errno != EAGAIN) pause();
        if (!client) return {};
        // The folder keeps others out; a descriptor that was handed to them would not.
        if (!live::is_own_peer(client.get()))
            log(LogLevel::warn, "a process of another user was turned away");
        else if (!has_left(client))
            return client;
    }
}

void SocketDesk::pause() {
    watching_ = true;
    pause_.expires_after(kPause);
    pause_.async_wait([this](asio::error_code stopped) {
        if (stopped) return;
        watching_ = false;
        serve();
    });
}

void SocketDesk::stop_serving() {
    asio::error_code ignored;
    listener_.close(ignored);
    pause_.cancel();
}

}  // namespace vmette::scheduler::calls
