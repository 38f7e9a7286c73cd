#pragma once
/// One call of a guest's program, joined to whoever takes it on the host. What one side has not taken yet is bounded by
/// the credit that it gave.

#include <array>
#include <functional>
#include <memory>
#include <string>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "base/fd.h"
#include "vm/session.h"

namespace vmette::scheduler::calls {

/// Held by shared_ptr: its handlers keep it while they are under way. One thread.
class Link final : public vm::CallObserver, public std::enable_shared_from_this<Link> {
public:
    /// `over` is called once, when nothing is left to be done; never from inside a call into the link.
    Link(asio::io_context& io, std::unique_ptr<vm::GuestCall> call, std::function<void()> over);

    /// Joins it, once: what the program sends goes to `to_host`, what comes from `from_host` goes to the program.
    /// Sockets or pipes, both of them open until the link is over.
    void join(Fd from_host, Fd to_host);
    /// Nobody takes what the program sends any more.
    void host_gone();
    /// Nothing more comes of the program: what did is still passed on, then the link is over.
    void guest_gone();
    bool is_over() const { return over_ == nullptr; }
    /// Over at once, without a call of `over`.
    void drop();

private:
    using Stream = asio::posix::stream_descriptor;

    void on_bytes(std::string_view bytes) override;
    void on_end() override;
    void on_room() override;
    void on_gone() override { guest_gone(); }

    void read();
    void was_read(asio::error_code failed, std::size_t bytes);
    void write();
    bool write_some();
    /// The program's bytes are through, or lost.
    void end_writing();
    void finish_if_done();

    asio::io_context& io_;
    std::unique_ptr<vm::GuestCall> call_;  ///< null: gone
    std::function<void()> over_;
    Stream from_host_, to_host_;
    std::array<char, 16384> buffer_;
    std::string held_;  ///< of the program, not written yet
    bool joined_ = false, reading_ = false, writing_ = false;
    bool program_ended_ = false;  ///< nothing follows `held_`
    bool host_ended_ = false;     ///< nothing more is read
    bool write_over_ = false;
};

}  // namespace vmette::scheduler::calls
