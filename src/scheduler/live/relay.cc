#include "scheduler/live/relay.h"

#include "scheduler/run.h"

namespace vmette::scheduler::live {
namespace {

/// A window that is dragged changes its size with every pixel: the guest hears of the last one, so often at most.
constexpr std::chrono::milliseconds kResizeInterval{30};
/// Nobody types faster than this.
constexpr unsigned kMaxSignalsPerSecond = 100;
/// Credit goes back in pieces worth a frame.
constexpr std::size_t kCreditStep = 16 * 1024;
constexpr std::uint32_t kLargestSignal = 64;
constexpr std::uint32_t kLargestWindow = 0xFFFF;

std::uint8_t exit_code(const vm::GuestFailure& failure) {
    switch (failure.kind) {
        case vm::GuestFailureKind::not_found:
            return kExitNotFound;
        case vm::GuestFailureKind::not_executable:
            return kExitNotExecutable;
        default:
            return kExitFailure;
    }
}

}  // namespace

std::uint32_t Relay::begin(std::unique_ptr<vm::SideCommand> command) {
    command_ = std::move(command);
    credit_ = command_->stdin_room();
    return static_cast<std::uint32_t>(credit_);
}

std::string_view Relay::take(const Frame& frame) {
    // What was on its way when the command ended.
    if (over_) return "";
    switch (frame.type) {
        case Type::in:
            return take_input(frame.payload);
        case Type::in_end:
            if (!frame.payload.empty() || input_ended_) return "it ended its input twice";
            input_ended_ = true;
            command_->close_stdin();
            return "";
        case Type::signal:
            return take_signal(frame);
        case Type::resize:
            return take_size(frame);
        default:
            return "it said what it may not say now";
    }
}

std::string_view Relay::take_input(const std::string& bytes) {
    if (input_ended_) return "it went on after the end of its input";
    if (bytes.size() > credit_) return "it sent more input than it had credit for";
    credit_ -= bytes.size();
    if (!bytes.empty()) command_->send_stdin(bytes);
    return "";
}

std::string_view Relay::take_signal(const Frame& frame) {
    auto number = unpack<Number>(frame.payload);
    if (!number || number->value == 0 || number->value > kLargestSignal) return "it sent no signal that exists";
    auto now = std::chrono::steady_clock::now();
    if (now - signals_since_ > std::chrono::seconds(1)) {
        signals_since_ = now;
        signals_ = 0;
    }
    if (++signals_ > kMaxSignalsPerSecond) return "it sends signals without end";
    command_->signal(static_cast<int>(number->value));
    return "";
}

std::string_view Relay::take_size(const Frame& frame) {
    size_ = unpack<Size>(frame.payload);
    if (!size_ || size_->columns > kLargestWindow || size_->rows > kLargestWindow) return "it sent no window's size";
    if (!resizing_) apply_size();
    return "";
}

void Relay::apply_size() {
    resizing_ = size_.has_value() && !over_;
    if (!resizing_) return;
    command_->resize(size_->columns, size_->rows);
    size_.reset();
    resize_timer_.expires_after(kResizeInterval);
    resize_timer_.async_wait([this](asio::error_code stopped) {
        if (!stopped) apply_size();
    });
}

void Relay::consumed(vm::Stream kind, std::size_t bytes) {
    if (command_) command_->consumed(kind, bytes);
}

void Relay::on_started() { sink_.send_frame(Type::started, "", std::nullopt); }

void Relay::on_output(vm::Stream stream, std::string_view bytes) {
    sink_.send_frame(stream == vm::Stream::out ? Type::out : Type::err, bytes, stream);
}

void Relay::on_stdin_room() {
    std::size_t more = command_->stdin_room() - credit_;
    if (more < kCreditStep || input_ended_) return;
    credit_ += more;
    sink_.send_frame(Type::credit, pack(Number{static_cast<std::uint32_t>(more)}), std::nullopt);
}

void Relay::on_exited(const vm::CommandEnd& end) {
    over_ = true;
    resize_timer_.cancel();
    sink_.send_last(Type::exited, pack(CommandExit{end.signaled, end.code, end.oom}));
}

void Relay::on_failure(const vm::GuestFailure& failure) {
    over_ = true;
    resize_timer_.cancel();
    auto code = static_cast<std::uint8_t>(ErrorCode::guest);
    sink_.send_last(Type::failed, pack(Refused{code, exit_code(failure), failure.message}));
}

}  // namespace vmette::scheduler::live
