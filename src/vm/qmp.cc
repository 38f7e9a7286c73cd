#include "vm/qmp.h"

#include <sys/socket.h>

#include <array>
#include <cstring>

#include <asio/buffer.hpp>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "vm/guarded.h"

namespace vmette::vm {
namespace {

using nlohmann::json;

/// QEMU's own events are a few hundred bytes; what is longer is not from QEMU's monitor as we know it.
constexpr std::size_t kMaxLine = 64 * kKiB;

std::string text_at(const json& object, const char* key) {
    auto found = object.find(key);
    return found != object.end() && found->is_string() ? harmless_line(found->get<std::string>(), 200) : std::string();
}

}  // namespace

Result<std::optional<QmpEvent>> parse_qmp_line(std::string_view line) {
    json message = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!message.is_object())
        return fail(ErrorCode::protocol, "QEMU's monitor sent what is no JSON object: {}", harmless_line(line, 80));
    std::string name = text_at(message, "event");
    json data = message.contains("data") && message["data"].is_object() ? message["data"] : json::object();
    if (name == "SHUTDOWN") return QmpEvent{QmpEventKind::shutdown, text_at(data, "reason")};
    if (name == "STOP") return QmpEvent{QmpEventKind::stop, {}};
    if (name == "RESUME") return QmpEvent{QmpEventKind::resume, {}};
    if (name == "MIGRATION") return QmpEvent{QmpEventKind::migration, text_at(data, "status")};
    if (message.contains("error") && message["error"].is_object())
        return QmpEvent{QmpEventKind::refused, text_at(message["error"], "desc")};
    if (name == "GUEST_PANICKED") return QmpEvent{QmpEventKind::guest_panicked, {}};
    if (name == "BLOCK_IO_ERROR")
        return QmpEvent{QmpEventKind::block_io_error, text_at(data, "node-name") + ": " + text_at(data, "reason")};
    return std::nullopt;
}

Qmp::Qmp(asio::io_context& io, Fd socket, std::function<void(const QmpEvent&)> on_event)
    : socket_(io, asio::local::stream_protocol(), socket.release()), on_event_(std::move(on_event)) {
    asio::error_code ignored;
    socket_.non_blocking(true, ignored);
}

void Qmp::start(std::weak_ptr<void> owner) {
    owner_ = std::move(owner);
    execute(R"({"execute":"qmp_capabilities"})");
    read();
}

void Qmp::execute(std::string_view command) {
    // QEMU reads this when it is ready for it; the socket's buffer holds our few commands until then, so no write can
    // be short.
    asio::error_code failed;
    socket_.write_some(asio::buffer(std::string(command) + "\n"), failed);
    if (failed) log(LogLevel::debug, "cannot write to QEMU's monitor: {}", failed.message());
}

Result<> Qmp::hand_over(int fd, std::string_view name) {
    std::string command = fmt::format(R"({{"execute":"getfd","arguments":{{"fdname":"{}"}}}})", name) + "\n";
    iovec text{command.data(), command.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL) != static_cast<ssize_t>(command.size()))
        return fail_errno("give QEMU a descriptor");
    return {};
}

void Qmp::close() {
    closed_ = true;
    asio::error_code ignored;
    socket_.close(ignored);
}

void Qmp::read() {
    if (closed_) return;
    socket_.async_read_some(asio::buffer(buffer_), guarded(owner_, [this](asio::error_code failed, std::size_t bytes) {
                                if (closed_ || failed) return;
                                received(bytes);
                                read();
                            }));
}

void Qmp::drain() {
    while (!closed_) {
        asio::error_code failed;
        std::size_t bytes = socket_.read_some(asio::buffer(buffer_), failed);
        if (failed) return;
        received(bytes);
    }
}

void Qmp::received(std::size_t bytes) {
    line_.append(buffer_.data(), bytes);
    std::size_t start = 0;
    for (auto end = line_.find('\n'); end != line_.npos && !closed_; end = line_.find('\n', start)) {
        auto event = parse_qmp_line(std::string_view(line_).substr(start, end - start));
        start = end + 1;
        if (!event) {
            log(LogLevel::warn, "{}", event.error().message);
            return close();
        }
        if (*event) on_event_(**event);
    }
    line_.erase(0, start);
    if (line_.size() <= kMaxLine) return;
    log(LogLevel::warn, "QEMU's monitor sent a line of more than {} bytes", kMaxLine);
    close();
}

}  // namespace vmette::vm
