#pragma once
/// The commands beside the run's own, each with somebody who watches it.

#include <map>
#include <memory>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "vm/channel.h"
#include "vm/session.h"
#include "vm/side_streams.h"

namespace vmette::vm {

/// A part of a LiveSession; `owner` is that.
class SideCommands final : public SideEvents {
public:
    SideCommands(asio::io_context& io, Channel& channel) : io_(io), channel_(channel) {}

    /// As Session::open_side(), but for the handle.
    Result<std::uint16_t> open(const GuestCommand& command, SideObserver& observer, std::weak_ptr<void> owner);
    /// Nobody watches any more: the command is hung up on, and killed when that does not end it.
    void abandon(std::uint16_t stream);

    std::size_t stdin_room(std::uint16_t stream) const;
    void send_stdin(std::uint16_t stream, std::string_view bytes);
    void close_stdin(std::uint16_t stream);
    void signal(std::uint16_t stream, int number);
    void resize(std::uint16_t stream, std::uint32_t columns, std::uint32_t rows);
    void consumed(std::uint16_t stream, Stream kind, std::size_t bytes);
    /// No event comes after this.
    void close();

private:
    struct Entry {
        SideObserver* observer = nullptr;  ///< null: abandoned
        std::size_t held[2] = {0, 0};      ///< with the observer, who has not dealt with it yet; of out and err
        std::size_t owed[2] = {0, 0};      ///< dealt with and not granted yet
        std::unique_ptr<asio::steady_timer> kill_timer;
    };

    void side_started(std::uint16_t stream) override;
    void side_output(std::uint16_t stream, Stream kind, std::string_view bytes) override;
    void side_stdin_room(std::uint16_t stream) override;
    void side_exited(std::uint16_t stream, const wire::Exited& exited) override;
    void side_failed(std::uint16_t stream, const wire::Failure& failure) override;
    SideObserver* observer_of(std::uint16_t stream);
    /// Its observer, for the last time.
    SideObserver* finish(std::uint16_t stream);

    asio::io_context& io_;
    Channel& channel_;
    std::map<std::uint16_t, Entry> entries_;
    std::weak_ptr<void> owner_;
};

}  // namespace vmette::vm
