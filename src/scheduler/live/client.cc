#include "scheduler/live/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

#include "base/text.h"
#include "scheduler/live/place.h"

namespace vmette::scheduler::live {

Result<Client> Client::ask(const Layout& layout, std::string_view run_id, const Request& request) {
    std::string payload = pack(request);
    if (payload.size() > kMaxRequest)
        return fail(ErrorCode::bad_input, "the command with its environment is {} long, and the guest takes {}",
                    human_size(payload.size()), human_size(kMaxRequest));
    VMETTE_TRY(Fd socket, connect_to(layout, run_id));
    Client client(std::move(socket));
    // A server that turns clients away closes without having read: what it said before is the answer.
    (void)client.send(Type::request, payload);
    return client;
}

Result<> Client::send(Type type, std::string_view payload) {
    std::string frame = encode_frame(type, payload);
    for (std::string_view rest = frame; !rest.empty();) {
        ssize_t sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return fail(ErrorCode::not_found, "the run's process is gone, or has closed the connection");
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
}

Result<std::optional<Frame>> Client::next() { return reader_.next(); }

Result<bool> Client::receive() {
    char buffer[kMaxChunk];
    for (;;) {
        ssize_t count = ::recv(socket_.get(), buffer, sizeof buffer, 0);
        if (count < 0 && errno == EINTR) continue;
        // Reset: it closed without having read all that we said.
        if (count < 0 && errno != ECONNRESET) return fail_errno("read from the run's socket");
        if (count <= 0) return false;
        reader_.feed({buffer, static_cast<std::size_t>(count)});
        return true;
    }
}

Result<std::optional<Frame>> Client::wait(std::optional<Duration> limit) {
    auto deadline = std::chrono::steady_clock::now() + limit.value_or(Duration{0});
    for (;;) {
        VMETTE_TRY(auto frame, next());
        if (frame) return frame;
        if (limit) {
            auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            pollfd waits{socket_.get(), POLLIN, 0};
            if (::poll(&waits, 1, static_cast<int>(std::max(left, Duration{0}).count())) == 0)
                return fail(ErrorCode::timeout, "the run's process does not answer");
        }
        VMETTE_TRY(bool more, receive());
        if (!more) return std::nullopt;
    }
}

Error refusal(const Frame& frame) {
    auto refused = unpack<Refused>(frame.payload);
    if (!refused || refused->code > static_cast<std::uint8_t>(ErrorCode::internal))
        return Error{ErrorCode::protocol, "the run's process said what cannot be read", nullptr};
    return Error{static_cast<ErrorCode>(refused->code), harmless_line(refused->message), nullptr};
}

}  // namespace vmette::scheduler::live
