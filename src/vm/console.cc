#include "vm/console.h"

#include <asio/buffer.hpp>

#include "base/text.h"
#include "base/units.h"
#include "vm/guarded.h"

namespace vmette::vm {
namespace {

/// A panic's report, call trace included, is some 3 KiB.
constexpr std::size_t kTail = 8 * kKiB;
/// After a full buffer, so that a flood costs the loop a few percent: 16 KiB in 5 ms is more than an emulated serial
/// line carries in earnest. What the guest writes beyond that waits in the socket and is then lost in QEMU.
constexpr std::chrono::milliseconds kPause{5};
/// More than a socket's buffers hold.
constexpr std::size_t kMaxDrain = 1 * kMiB;

}  // namespace

std::string find_panic(std::string_view console) {
    auto start = console.find("Kernel panic - not syncing");
    if (start == console.npos) return {};
    auto line = console.substr(start);
    return harmless_line(line.substr(0, line.find_first_of("\r\n")), 200);
}

Console::Console(asio::io_context& io, Fd socket, std::function<void(std::string_view)> on_bytes)
    : socket_(io, asio::local::stream_protocol(), socket.release()), pause_(io), on_bytes_(std::move(on_bytes)) {
    asio::error_code ignored;
    socket_.non_blocking(true, ignored);
}

void Console::start(std::weak_ptr<void> owner) {
    owner_ = std::move(owner);
    read();
}

void Console::close() {
    closed_ = true;
    asio::error_code ignored;
    socket_.close(ignored);
    pause_.cancel();
}

void Console::read() {
    if (closed_) return;
    socket_.async_read_some(asio::buffer(buffer_), guarded(owner_, [this](asio::error_code failed, std::size_t bytes) {
                                if (closed_ || failed) return;
                                received(bytes);
                                if (bytes < buffer_.size() || closed_) return read();
                                pause_.expires_after(kPause);
                                pause_.async_wait(guarded(owner_, [this](asio::error_code stopped) {
                                    if (!stopped) read();
                                }));
                            }));
}

void Console::drain() {
    for (std::size_t total = 0; !closed_ && total < kMaxDrain;) {
        asio::error_code failed;
        std::size_t bytes = socket_.read_some(asio::buffer(buffer_), failed);
        if (failed) return;
        total += bytes;
        received(bytes);
    }
}

void Console::received(std::size_t bytes) {
    std::string_view said(buffer_.data(), bytes);
    tail_.append(said);
    if (tail_.size() > 2 * kTail) tail_.erase(0, tail_.size() - kTail);
    on_bytes_(said);
}

}  // namespace vmette::vm
