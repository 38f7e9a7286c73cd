#include "cli/live_command.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>

#include "base/text.h"
#include "cli/harmless_stream.h"
#include "cli/terminal.h"
#include "scheduler/run.h"
#include "scheduler/signals.h"

namespace vmette::cli {
namespace {

using scheduler::live::Client;
using scheduler::live::CommandExit;
using scheduler::live::Frame;
using scheduler::live::Number;
using scheduler::live::Request;
using scheduler::live::Size;
using scheduler::live::Type;

/// So many of them, and the user wants to be rid of us rather than of the command.
constexpr int kSignalsToLeave = 3;
/// A terminal that we may not read now (in the background) is looked at again.
constexpr int kLookAgainMs = 500;

/// Bytes on their way to one descriptor.
class Outlet {
public:
    Outlet(int fd, bool harmless) : fd_(fd), harmless_(harmless && ::isatty(fd) == 1) {
        int flags = ::fcntl(fd, F_GETFL);
        takes_what_fits_ = flags >= 0 && (flags & O_NONBLOCK) != 0;
    }
    void push(std::string_view bytes) {
        if (!gone_) waiting_ += harmless_ ? stream_.next(bytes) : std::string(bytes);
    }
    /// Nothing more comes.
    void end() {
        if (harmless_ && !gone_) waiting_ += stream_.rest();
    }
    bool idle() const { return waiting_.empty(); }
    bool gone() const { return gone_; }
    int fd() const { return fd_; }
    /// Requires that poll(2) said it is writable.
    void write_some() {
        std::size_t size =
            takes_what_fits_ ? waiting_.size() - done_ : std::min<std::size_t>(waiting_.size() - done_, PIPE_BUF);
        ssize_t n = ::write(fd_, waiting_.data() + done_, size);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (n < 0) gone_ = true;
        done_ += n < 0 ? 0 : static_cast<std::size_t>(n);
        if (!gone_ && done_ < waiting_.size()) return;
        waiting_.clear();
        done_ = 0;
    }

private:
    int fd_;
    bool harmless_;
    bool takes_what_fits_ = false, gone_ = false;
    HarmlessStream stream_;
    std::string waiting_;
    std::size_t done_ = 0;
};

class Conversation {
public:
    Conversation(Client client, const CommandStreams& streams, scheduler::SignalQueue& signals)
        : client_(std::move(client)),
          streams_(streams),
          signals_(signals),
          out_(streams.out, streams.harmless),
          err_(streams.err, streams.harmless),
          input_open_(streams.in >= 0) {}

    Result<CommandEnd> run() {
        for (;;) {
            VMETTE_CHECK_OK(take_frames());
            if (left_) return *left_;
            if (end_ && out_.idle() && err_.idle()) return *end_;
            if (out_.gone() && !end_)
                return CommandEnd{.exit_code = scheduler::kExitSignalBase + SIGPIPE, .out_gone = true};
            VMETTE_CHECK_OK(wait());
            if (left_) return *left_;
        }
    }

private:
    /// Not while what came before waits for its reader: so a reader who stops holds up the command, and no memory.
    bool may_listen() const { return !end_ && out_.idle() && err_.idle(); }
    bool may_read() const {
        if (!input_open_ || credit_ == 0 || end_) return false;
        return ::isatty(streams_.in) == 0 || ::tcgetpgrp(streams_.in) == ::getpgrp();
    }

    Result<> wait() {
        bool listening = may_listen(), reading = may_read();
        pollfd waits[] = {{listening ? client_.fd() : -1, POLLIN, 0},
                          {signals_.fd(), POLLIN, 0},
                          {reading ? streams_.in : -1, POLLIN, 0},
                          {out_.idle() ? -1 : out_.fd(), POLLOUT, 0},
                          {err_.idle() ? -1 : err_.fd(), POLLOUT, 0}};
        bool in_background = input_open_ && credit_ > 0 && !reading;
        if (::poll(waits, 5, in_background ? kLookAgainMs : -1) < 0 && errno != EINTR) return fail_errno("poll");
        if (waits[3].revents != 0) out_.write_some();
        if (waits[4].revents != 0) err_.write_some();
        while (auto number = signals_.take()) VMETTE_CHECK_OK(on_signal(*number));
        if (waits[2].revents != 0) VMETTE_CHECK_OK(read_input());
        if (waits[0].revents == 0) return {};
        VMETTE_TRY(bool more, client_.receive());
        if (more || end_) return {};
        return fail(ErrorCode::not_found, "the run has ended, and the command with it");
    }

    Result<> take_frames() {
        while (may_listen() && !left_) {
            VMETTE_TRY(auto frame, client_.next());
            if (!frame) return {};
            VMETTE_CHECK_OK(take(*frame));
        }
        return {};
    }

    Result<> take(const Frame& frame) {
        switch (frame.type) {
            case Type::accepted:
                if (auto accepted = scheduler::live::unpack<scheduler::live::Accepted>(frame.payload))
                    credit_ += accepted->credit;
                return {};
            case Type::started:
                // Not before the command runs: until then Ctrl-C must be ours.
                if (streams_.terminal) raw_ = RawTerminal::enter(streams_.in);
                return {};
            case Type::out:
                written_ += frame.payload.size();
                if (written_ > streams_.max_out)
                    left_ = CommandEnd{.exit_code = scheduler::kExitFailure, .too_much = true};
                else
                    out_.push(frame.payload);
                return {};
            case Type::err:
                err_.push(frame.payload);
                return {};
            case Type::credit:
                if (auto number = scheduler::live::unpack<Number>(frame.payload)) credit_ += number->value;
                return {};
            case Type::exited:
                return take_exit(frame);
            case Type::failed:
                return take_failure(frame);
            case Type::refused:
                return Failure(scheduler::live::refusal(frame));
            default:
                return {};
        }
    }

    Result<> take_exit(const Frame& frame) {
        auto exit = scheduler::live::unpack<CommandExit>(frame.payload);
        if (!exit) return fail(ErrorCode::protocol, "the run's process said what cannot be read");
        int code = static_cast<int>(exit->code & 0xFF);
        end_ = CommandEnd{.exit_code = exit->signaled ? scheduler::kExitSignalBase + code : code};
        out_.end();
        err_.end();
        return {};
    }

    /// The command could not be started, which has an exit code of its own; or its machine went.
    Result<> take_failure(const Frame& frame) {
        auto failed = scheduler::live::unpack<scheduler::live::Refused>(frame.payload);
        auto error = scheduler::live::refusal(frame);
        if (!failed || failed->exit_code < scheduler::kExitNotExecutable) return Failure(error);
        err_.push("vmette: error: " + error.message + "\n");
        end_ = CommandEnd{.exit_code = failed->exit_code};
        return {};
    }

    Result<> read_input() {
        char buffer[32768];
        ssize_t n = ::read(streams_.in, buffer, std::min(sizeof buffer, credit_));
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) return {};
        if (n > 0) {
            credit_ -= static_cast<std::size_t>(n);
            return ignore_gone(client_.send(Type::in, {buffer, static_cast<std::size_t>(n)}));
        }
        input_open_ = false;
        return ignore_gone(client_.send(Type::in_end, ""));
    }

    Result<> on_signal(int number) {
        if (number == SIGWINCH) return streams_.terminal ? send_size() : Result<>{};
        bool passed_on = streams_.forward_signals && !streams_.terminal && ++signals_taken_ < kSignalsToLeave;
        if (passed_on) return send_number(Type::signal, static_cast<std::uint32_t>(number));
        left_ = CommandEnd{.exit_code = scheduler::kExitSignalBase + number, .interrupted = true};
        return {};
    }

    Result<> send_size() {
        winsize size{};
        if (::ioctl(streams_.in, TIOCGWINSZ, &size) != 0) return {};
        return ignore_gone(client_.send(Type::resize, scheduler::live::pack(Size{size.ws_col, size.ws_row})));
    }
    Result<> send_number(Type type, std::uint32_t value) {
        return ignore_gone(client_.send(type, scheduler::live::pack(Number{value})));
    }
    /// The command may have ended meanwhile: that is read, not learned from a send that failed.
    static Result<> ignore_gone(const Result<>& sent) {
        if (sent || sent.error().code == ErrorCode::not_found) return {};
        return sent;
    }

    Client client_;
    const CommandStreams& streams_;
    scheduler::SignalQueue& signals_;
    Outlet out_, err_;
    std::unique_ptr<RawTerminal> raw_;
    bool input_open_;
    std::size_t credit_ = 0;
    std::uint64_t written_ = 0;
    int signals_taken_ = 0;
    std::optional<CommandEnd> end_, left_;
};

}  // namespace

Result<CommandEnd> run_in_guest(Context& context, const std::string& run_id, Request request,
                                const CommandStreams& streams) {
    VMETTE_TRY(auto signals, scheduler::SignalQueue::open());
    return run_in_guest(context, run_id, std::move(request), streams, signals);
}

Result<CommandEnd> run_in_guest(Context& context, const std::string& run_id, Request request,
                                const CommandStreams& streams, scheduler::SignalQueue& signals) {
    VMETTE_TRY(const Layout* layout, context.layout());
    request.stdin_open = streams.in >= 0;
    winsize size{};
    if (streams.terminal && ::ioctl(streams.in, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        request.columns = size.ws_col;
        request.rows = size.ws_row;
    }
    VMETTE_TRY(auto client, Client::ask(*layout, run_id, request));
    return Conversation(std::move(client), streams, signals).run();
}

}  // namespace vmette::cli
