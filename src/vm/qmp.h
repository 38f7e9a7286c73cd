#pragma once
/// What only QEMU's monitor can say. Nothing waits for it: the negotiation runs beside the boot.

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::vm {

enum class QmpEventKind { shutdown, stop, resume, guest_panicked, block_io_error, migration, refused };

/// An event that means something to a session.
struct QmpEvent {
    QmpEventKind kind{};
    /// shutdown: QEMU's reason ("guest-reset", "guest-shutdown", "host-signal", …); block_io_error: the node's name and
    /// what failed ("scratch: No space left on device"); migration: its status ("completed", "failed", …); refused: why
    /// a command was.
    std::string detail;
    bool operator==(const QmpEvent&) const = default;
};

/// Reads one line of QMP. Nothing for lines and events that mean nothing here; `protocol` for what is no JSON object.
/// Source of the format: qemu.org/docs/master/interop/qmp-spec.html.
Result<std::optional<QmpEvent>> parse_qmp_line(std::string_view line);

/// A monitor connection. Must be a part of `owner`'s object. A monitor that breaks its own protocol is logged and no
/// longer listened to: the machine may live on without it.
class Qmp {
public:
    Qmp(asio::io_context& io, Fd socket, std::function<void(const QmpEvent&)> on_event);
    void start(std::weak_ptr<void> owner);
    /// Sends a command: one JSON object. Its success is not told, its failure is the event `refused`.
    void execute(std::string_view command);
    /// Gives QEMU a copy of a descriptor, under a name of letters.
    Result<> hand_over(int fd, std::string_view name);
    /// Takes what has arrived already, without waiting.
    void drain();
    void close();

private:
    void read();
    void received(std::size_t bytes);

    asio::local::stream_protocol::socket socket_;
    std::function<void(const QmpEvent&)> on_event_;
    std::weak_ptr<void> owner_;
    std::array<char, 4096> buffer_;
    std::string line_;
    bool closed_ = false;
};

}  // namespace vmette::vm
