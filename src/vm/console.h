#pragma once
/// The kernel's console: hostile bytes at any rate, passed on in bounded pieces and at a bounded pace.

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>

#include "base/fd.h"

namespace vmette::vm {

/// The line in which the kernel says that it gives up ("Kernel panic - not syncing: …"), harmless; empty: none.
std::string find_panic(std::string_view console);

/// Must be a part of `owner`'s object; its handlers run only while that lives.
class Console {
public:
    Console(asio::io_context& io, Fd socket, std::function<void(std::string_view)> on_bytes);
    void start(std::weak_ptr<void> owner);
    /// Takes what has arrived already, without waiting; at most what a socket holds.
    void drain();
    void close();
    /// The end of what was said so far, enough to hold a panic's report.
    std::string_view tail() const { return tail_; }

private:
    void read();
    void received(std::size_t bytes);

    asio::local::stream_protocol::socket socket_;
    asio::steady_timer pause_;
    std::function<void(std::string_view)> on_bytes_;
    std::weak_ptr<void> owner_;
    std::array<char, 16384> buffer_;
    std::string tail_;
    bool closed_ = false;
};

}  // namespace vmette::vm
