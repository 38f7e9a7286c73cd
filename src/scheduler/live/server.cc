#include "scheduler/live/server.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "scheduler/live/connection.h"

namespace vmette::scheduler::live {
namespace {

/// When the process has no descriptor left for a client, the next attempt comes so much later.
constexpr std::chrono::milliseconds kPause{200};
/// What clients do not take in so long after the machine's end is lost to them: the run does not wait.
constexpr std::chrono::seconds kFlushLimit{1};

}  // namespace

Result<std::unique_ptr<Server>> Server::open(asio::io_context& io, const Layout& layout, std::string_view run_id) {
    VMETTE_TRY(Place place, Place::make(layout, run_id));
    std::unique_ptr<Server> server(new Server(io, std::move(place)));
    VMETTE_TRY(Fd listener, duplicate(server->place_.listener()));
    asio::error_code failed;
    server->acceptor_.assign(asio::local::stream_protocol(), listener.get(), failed);
    if (failed) return fail(ErrorCode::io, "watch the run's socket: {}", failed.message());
    (void)listener.release();
    return server;
}

Server::Server(asio::io_context& io, Place place) : io_(io), place_(std::move(place)), acceptor_(io), pause_(io) {}

Server::~Server() {
    for (const auto& connection : connections_) connection->close();
}

void Server::serve(ServedRun& run) {
    run_ = &run;
    accept();
}

void Server::leave(std::function<void()> flushed) {
    run_ = nullptr;
    for (const auto& connection : std::set(connections_)) connection->machine_gone();
    when_flushed_ = std::move(flushed);
    pause_.expires_after(kFlushLimit);
    pause_.async_wait([this](asio::error_code stopped) {
        if (!stopped && when_flushed_) std::exchange(when_flushed_, nullptr)();
    });
    this->flushed();
}

void Server::flushed() {
    if (!when_flushed_) return;
    for (const auto& connection : connections_)
        if (!connection->is_flushed()) return;
    std::exchange(when_flushed_, nullptr)();
}

void Server::forget(const std::shared_ptr<Connection>& connection) {
    connections_.erase(connection);
    flushed();
}

void Server::tell_end(int exit_code) {
    for (const auto& connection : connections_) connection->tell_end(exit_code);
}

void Server::accept() {
    acceptor_.async_accept([this](asio::error_code failed, asio::local::stream_protocol::socket socket) {
        if (failed == asio::error::operation_aborted) return;
        if (!failed) {
            take(std::move(socket));
            return accept();
        }
        pause_.expires_after(kPause);
        pause_.async_wait([this](asio::error_code stopped) {
            if (!stopped) accept();
        });
    });
}

void Server::take(asio::local::stream_protocol::socket socket) {
    // The folder keeps others out; a descriptor that was handed to them would not.
    if (!is_own_peer(socket.native_handle())) return log(LogLevel::warn, "a process of another user was turned away");
    auto connection = std::make_shared<Connection>(*this, std::move(socket));
    std::size_t others = connections_.size();
    if (others >= kMaxConnections + kStopConnections) return connection->turn_away();
    connections_.insert(connection);
    connection->start(others < kMaxConnections);
}

}  // namespace vmette::scheduler::live
