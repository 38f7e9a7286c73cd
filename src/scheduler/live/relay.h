#pragma once
/// One command of a client's: its frames to the guest and back, paced by the credit of both.

#include <chrono>
#include <memory>
#include <optional>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "scheduler/live/frames.h"
#include "vm/session.h"

namespace vmette::scheduler::live {

/// Where a relay's frames go. `kind` set: the frame is the command's output, and consumed() is to be called when it is
/// off our hands.
class FrameSink {
public:
    virtual ~FrameSink() = default;
    virtual void send_frame(Type type, std::string_view payload, std::optional<vm::Stream> kind) = 0;
    /// The last one.
    virtual void send_last(Type type, std::string_view payload) = 0;
};

/// Lives as long as its connection; letting go of it hangs up on the command.
class Relay final : public vm::SideObserver {
public:
    Relay(asio::io_context& io, FrameSink& sink) : sink_(sink), resize_timer_(io) {}

    /// Takes the command over. The client may send the credit that this returns.
    std::uint32_t begin(std::unique_ptr<vm::SideCommand> command);
    /// A frame of the client. Empty, or why the client is to be dropped.
    std::string_view take(const Frame& frame);
    void consumed(vm::Stream kind, std::size_t bytes);
    bool is_over() const { return over_; }

private:
    void on_started() override;
    void on_output(vm::Stream stream, std::string_view bytes) override;
    void on_stdin_room() override;
    void on_exited(const vm::CommandEnd& end) override;
    void on_failure(const vm::GuestFailure& failure) override;
    std::string_view take_input(const std::string& bytes);
    std::string_view take_signal(const Frame& frame);
    std::string_view take_size(const Frame& frame);
    void apply_size();

    FrameSink& sink_;
    asio::steady_timer resize_timer_;
    std::unique_ptr<vm::SideCommand> command_;
    std::size_t credit_ = 0;  ///< that the client has and did not use yet
    bool input_ended_ = false, over_ = false;
    std::optional<Size> size_;  ///< not passed on yet
    bool resizing_ = false;
    unsigned signals_ = 0;  ///< since `signals_since_`
    std::chrono::steady_clock::time_point signals_since_{};
};

}  // namespace vmette::scheduler::live
