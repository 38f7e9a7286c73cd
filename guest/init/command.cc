#include "command.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vmette::guest {

namespace {

/// A program that leaves children behind may leave them its pipes too. So long after its end is waited for a last word
/// of theirs (`main | tee log`), no longer.
constexpr timespec kDrainLimit{0, 100'000'000};
/// Of each pipe, when the program has ended: one that others still fill is left to the loop.
constexpr int kPiecesAtOnce = 4;

}  // namespace

Command::Command(Loop& loop, Channel& channel, const CommandGroup& group, Priority& priority, std::uint16_t stream)
    : loop_(loop), channel_(channel), group_(group), priority_(priority), stream_(stream) {}

Command::~Command() {
    close_stdin();
    end_output(out_);
    end_output(err_);
    if (drain_limit_) loop_.remove(drain_limit_.get());
}

void Command::start(const wire::Exec& exec) {
    oom_before_ = group_.oom_kills();
    auto launched = launch(exec, group_, stream_ == kFirstCommand);
    if (!launched) {
        refuse(launched.error());
        return;
    }
    state_ = State::running;
    tty_ = exec.tty;
    pid_ = launched->pid;
    stdin_ = std::move(launched->in);
    out_.fd = std::move(launched->out);
    err_.fd = std::move(launched->err);
    wire::Started started;
    started.pid = static_cast<std::uint32_t>(pid_);
    started.uptime_us = uptime_us();
    channel_.send(wire::Type::started, stream_, wire::encode(started));
    update_outputs();
}

void Command::refuse(const LaunchFailure& failure) {
    wire::Failure message;
    message.kind = static_cast<std::uint8_t>(failure.kind);
    message.message = failure.message;
    channel_.send(wire::Type::failed, stream_, wire::encode(message));
    state_ = State::over;
}

// ---- stdout and stderr ----

void Command::update_outputs() {
    watch_output(out_, out_watcher_);
    watch_output(err_, err_watcher_);
}

bool Command::may_take(const Output& output) const {
    return output.fd && output.credit > 0 && channel_.has_room() &&
           (state_ == State::running || state_ == State::draining);
}

void Command::watch_output(Output& output, Watcher& watcher) {
    const bool wanted = may_take(output);
    if (wanted == output.watched) return;
    // Removed, not masked: a closed pipe shows itself whatever is asked for.
    if (wanted)
        loop_.add(output.fd.get(), EPOLLIN, watcher);
    else
        loop_.remove(output.fd.get());
    output.watched = wanted;
}

bool Command::take_output(Output& output) {
    char buffer[wire::kMaxChunk];
    std::size_t size = std::min<std::uint64_t>(sizeof buffer, output.credit);
    if (output.rest) size = std::min(size, *output.rest);
    ssize_t n = size > 0 ? read(output.fd.get(), buffer, size) : 0;
    const bool nothing_yet = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (nothing_yet) {
        // After the time to drain, empty is as good as ended.
        if (output.rest) end_output(output);
    } else if (n <= 0) {
        end_output(output);  // end of file; a terminal that nobody holds any more says EIO
    } else {
        std::size_t taken = static_cast<std::size_t>(n);
        channel_.send(output.type, stream_, std::string_view(buffer, taken));
        priority_.on_output();
        output.credit -= taken;
        if (output.rest) *output.rest -= taken;
        if (output.rest == std::size_t{0}) end_output(output);
    }
    update_outputs();
    finish_if_drained();
    return !nothing_yet;
}

void Command::end_output(Output& output) {
    if (output.watched) loop_.remove(output.fd.get());
    output.watched = false;
    output.fd.reset();
}

void Command::on_credit(const wire::Credit& credit) {
    Output* output = nullptr;
    if (credit.channel == static_cast<std::uint8_t>(wire::Type::out)) output = &out_;
    if (credit.channel == static_cast<std::uint8_t>(wire::Type::err)) output = &err_;
    if (output == nullptr) return;
    output->credit += credit.bytes;
    update_outputs();
}

void Command::on_room() { update_outputs(); }

// ---- stdin ----

bool Command::on_input(std::string_view bytes) {
    if (bytes.size() > input_credit_) return false;
    input_credit_ -= bytes.size();
    if (!stdin_) {
        grant_stdin(bytes.size());  // nobody reads it; the host need not know
        return true;
    }
    input_.append(bytes);
    write_stdin();
    return true;
}

void Command::on_input_end() {
    if (input_ended_) return;
    input_ended_ = true;
    // A terminal ends its input by a character.
    if (tty_) input_ += '\x04';
    write_stdin();
}

/// On a terminal the end of the input is a character, and whoever changes the terminal's mode before reading it (a
/// shell with line editing) drops it. The end of a pipe stays for every read to come; so does this one.
void Command::on_beat() {
    constexpr int kBeatsBetween = 1000 / wire::kBeatMilliseconds;
    if (!tty_ || !input_ended_ || !input_.empty() || state_ != State::running) return;
    if (++beats_since_end_ % kBeatsBetween != 0) return;
    input_ += '\x04';
    write_stdin();
}

void Command::on_stdin_writable() { write_stdin(); }

void Command::write_stdin() {
    if (!stdin_) return;
    std::size_t taken = 0;
    while (taken < input_.size()) {
        ssize_t n = write(stdin_.get(), input_.data() + taken, input_.size() - taken);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) {
            taken = input_.size();
            close_stdin();
            break;
        }
        if (n <= 0) break;
        taken += static_cast<std::size_t>(n);
    }
    input_.erase(0, taken);
    grant_stdin(taken);
    if (stdin_ && input_ended_ && input_.empty() && !tty_) close_stdin();
    if (!stdin_) return;
    const bool wanted = !input_.empty();
    if (wanted == stdin_watched_) return;
    if (wanted)
        loop_.add(stdin_.get(), EPOLLOUT, stdin_watcher_);
    else
        loop_.remove(stdin_.get());
    stdin_watched_ = wanted;
}

void Command::close_stdin() {
    if (stdin_watched_) loop_.remove(stdin_.get());
    stdin_watched_ = false;
    stdin_.reset();
}

void Command::grant_stdin(std::size_t bytes) {
    input_granted_back_ += bytes;
    if (state_ == State::over || input_ended_ || input_granted_back_ < wire::kInitialCredit / 4) return;
    wire::Credit credit;
    credit.channel = static_cast<std::uint8_t>(wire::Type::in);
    credit.bytes = static_cast<std::uint32_t>(input_granted_back_);
    input_credit_ += input_granted_back_;
    input_granted_back_ = 0;
    channel_.send_urgent(wire::Type::credit, stream_, wire::encode(credit));
}

// ---- control and end ----

void Command::on_signal(std::uint32_t number) {
    if (pid_ > 0 && number >= 1 && number <= 64) kill(-pid_, static_cast<int>(number));
}

void Command::on_resize(const wire::Resize& size) {
    if (!tty_ || !out_.fd) return;
    winsize window{};
    window.ws_col = static_cast<unsigned short>(size.columns);
    window.ws_row = static_cast<unsigned short>(size.rows);
    ioctl(out_.fd.get(), TIOCSWINSZ, &window);
}

void Command::on_child_ended(int status) {
    pid_ = 0;
    if (state_ == State::over) return;
    end_.signaled = WIFSIGNALED(status);
    end_.code = static_cast<std::uint32_t>(end_.signaled ? WTERMSIG(status) : WEXITSTATUS(status));
    end_.oom = group_.oom_kills() > oom_before_;
    end_.uptime_us = uptime_us();
    close_stdin();
    begin_drain();
}

void Command::begin_drain() {
    state_ = State::draining;
    // Mostly all is in the pipes by now, and nobody else holds them: no turn of the loop and no timer are spent then.
    for (Output* output : {&out_, &err_})
        for (int piece = 0; piece < kPiecesAtOnce && may_take(*output) && take_output(*output); ++piece) {
        }
    finish_if_drained();
    if (state_ == State::over) return;
    update_outputs();
    drain_limit_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    itimerspec limit{};
    limit.it_value = kDrainLimit;
    timerfd_settime(drain_limit_.get(), 0, &limit, nullptr);
    loop_.add(drain_limit_.get(), EPOLLIN, drain_watcher_);
}

void Command::on_drain_limit() {
    loop_.remove(drain_limit_.get());
    drain_limit_.reset();
    for (Output* output : {&out_, &err_}) {
        if (!output->fd) continue;
        int waiting = 0;
        if (ioctl(output->fd.get(), FIONREAD, &waiting) != 0) waiting = 0;
        output->rest = static_cast<std::size_t>(waiting);
        if (waiting <= 0) end_output(*output);
    }
    finish_if_drained();
}

void Command::finish_if_drained() {
    if (state_ != State::draining || out_.fd || err_.fd) return;
    if (drain_limit_) loop_.remove(drain_limit_.get());
    drain_limit_.reset();
    channel_.send(wire::Type::exited, stream_, wire::encode(end_));
    state_ = State::over;
}

}  // namespace vmette::guest
