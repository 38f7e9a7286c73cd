#pragma once
/// One command of the session: its program, its streams with their credit, its end.

#include <optional>
#include <string>
#include <string_view>

#include "../protocol.h"
#include "cgroup.h"
#include "channel.h"
#include "launch.h"
#include "loop.h"
#include "priority.h"

namespace vmette::guest {

/// The stream of the run's own command.
constexpr std::uint16_t kFirstCommand = 1;

/// Lives from its Exec to its Exited or Failure. Everything is told to the host by itself.
class Command {
public:
    Command(Loop& loop, Channel& channel, const CommandGroup& group, Priority& priority, std::uint16_t stream);
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;
    ~Command();

    void start(const wire::Exec& exec);
    /// The last message of this stream has been sent.
    bool is_over() const { return state_ == State::over; }
    std::uint16_t stream() const { return stream_; }
    /// 0 when there is no process that is still to be waited for.
    pid_t pid() const { return pid_; }

    /// False when the host sent more than it had credit for.
    bool on_input(std::string_view bytes);
    void on_input_end();
    void on_credit(const wire::Credit& credit);
    void on_signal(std::uint32_t number);
    void on_resize(const wire::Resize& size);
    /// Its process has ended, with this status of waitpid(2).
    void on_child_ended(int status);
    /// The channel takes bulk data again.
    void on_room();
    /// Some time has passed (wire::kBeatMilliseconds).
    void on_beat();

private:
    /// created → running → draining (what it left in its pipes) → over.
    enum class State { created, running, draining, over };

    struct Output {
        wire::Type type;
        Fd fd;
        std::uint64_t credit = wire::kInitialCredit;
        std::optional<std::size_t> rest;  ///< once the time to drain is up: so many bytes are still to be taken
        bool watched = false;
    };

    void on_out() { take_output(out_); }
    void on_err() { take_output(err_); }
    void on_stdin_writable();
    void on_drain_limit();

    /// May be read now, as far as credit and the channel go.
    bool may_take(const Output& output) const;
    /// False when there was nothing to read yet.
    bool take_output(Output& output);
    void end_output(Output& output);
    void watch_output(Output& output, Watcher& watcher);
    void update_outputs();
    void write_stdin();
    void close_stdin();
    void grant_stdin(std::size_t bytes);
    void begin_drain();
    void finish_if_drained();
    void refuse(const LaunchFailure& failure);

    Loop& loop_;
    Channel& channel_;
    const CommandGroup& group_;
    Priority& priority_;
    const std::uint16_t stream_;
    State state_ = State::created;
    pid_t pid_ = 0;
    bool tty_ = false;
    std::uint64_t oom_before_ = 0;
    wire::Exited end_;

    Fd stdin_, drain_limit_;
    Output out_{.type = wire::Type::out, .fd = {}, .rest = {}};
    Output err_{.type = wire::Type::err, .fd = {}, .rest = {}};
    std::string input_;                                ///< not yet taken by the program
    std::size_t input_credit_ = wire::kInitialCredit;  ///< what the host may still send
    std::size_t input_granted_back_ = 0;               ///< taken, and not yet told to the host
    bool input_ended_ = false;
    int beats_since_end_ = 0;  ///< of the input
    bool stdin_watched_ = false;

    On<Command, &Command::on_out> out_watcher_{*this};
    On<Command, &Command::on_err> err_watcher_{*this};
    On<Command, &Command::on_stdin_writable> stdin_watcher_{*this};
    On<Command, &Command::on_drain_limit> drain_watcher_{*this};
};

}  // namespace vmette::guest
