#include "session.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "console.h"

namespace vmette::guest {

namespace {

using wire::Type;

/// After SIGKILL, what has not died by then hangs in the kernel (a share whose server is gone).
constexpr std::uint64_t kKillLimitUs = 1'000'000;

std::uint32_t count_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<std::uint32_t>(CPU_COUNT(&set)) : 1;
}

}  // namespace

Session::Session(Loop& loop, Fd port)
    : loop_(loop),
      channel_(loop, std::move(port), *this),
      calls_(loop, channel_),
      collector_(loop, channel_, *this),
      syncer_(loop, *this) {}

void Session::greet() {
    utsname names{};
    uname(&names);
    wire::GuestHello hello;
    hello.kernel = names.release;
    hello.memory_bytes = total_memory();
    hello.cpus = count_cpus();
    hello.uptime_us = uptime_us();
    channel_.send(Type::hello, 0, wire::encode(hello));
}

Outcome<> Session::attend() {
    priority_.take();
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    children_ = Fd(signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK));
    beat_ = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    itimerspec interval{};
    interval.it_value.tv_nsec = interval.it_interval.tv_nsec = wire::kBeatMilliseconds * 1'000'000L;
    if (!children_ || !beat_ || timerfd_settime(beat_.get(), 0, &interval, nullptr) != 0)
        return fail_errno("timers and signals");
    if (!loop_.add(children_.get(), EPOLLIN, child_watcher_) || !loop_.add(beat_.get(), EPOLLIN, beat_watcher_))
        return fail_errno("watch timers and signals");
    return {};
}

void Session::on_beat() {
    std::uint64_t expirations = 0;
    [[maybe_unused]] ssize_t n = read(beat_.get(), &expirations, sizeof expirations);
    channel_.send_urgent(Type::beat, 0, {});
    for (auto& command : commands_) command->on_beat();
    calls_.on_beat();
    priority_.on_beat();
    if (state_ == State::ready) machine_.group.end_if_starved(uptime_us());
    if (state_ == State::killing) collect_when_empty();
}

void Session::on_child() {
    // Signals merge, so there is one at most, and whoever has ended is asked for. Orphans of the commands end here too.
    signalfd_siginfo info;
    [[maybe_unused]] ssize_t n = read(children_.get(), &info, sizeof info);
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (auto& command : commands_)
            if (command->pid() == pid) command->on_child_ended(status);
    if (state_ == State::killing) collect_when_empty();
}

// ---- what the host says ----

void Session::on_frame(wire::Header header, std::string_view payload) {
    if (state_ == State::broken) return;
    if (header.stream == 0)
        take_session_frame(header.type, payload);
    else
        take_command_frame(header, payload);
}

void Session::take_session_frame(Type type, std::string_view payload) {
    if (type == Type::setup && state_ == State::greeted) return set_up(payload);
    if (type == Type::finish) return finish(payload);
    if (type == Type::credit) return take_credit(payload);
    if (type == Type::enough && payload.empty()) return skip_artifacts();
    break_off(text("frame ", static_cast<unsigned>(type), " for the session"));
}

void Session::take_command_frame(wire::Header header, std::string_view payload) {
    if (header.stream >= wire::kFirstCallStream) {
        if (!calls_.take(header, payload))
            break_off(text("frame ", static_cast<unsigned>(header.type), " for call ", header.stream));
        return;
    }
    Command* command = find_command(header.stream);
    if (header.type == Type::exec) {
        if (state_ != State::ready || (command != nullptr && !command->is_over()))
            return break_off(text("exec on stream ", header.stream));
        return execute(header.stream, payload);
    }
    // A command may end while something for it is still on its way.
    if (command != nullptr && !command->is_over()) take_control(*command, header.type, payload);
}

void Session::take_control(Command& command, Type type, std::string_view payload) {
    wire::SignalRequest signal;
    wire::Resize size;
    wire::Credit credit;
    if (type == Type::in && payload.size() <= wire::kMaxChunk && command.on_input(payload)) return;
    if (type == Type::in_end && payload.empty()) return command.on_input_end();
    if (type == Type::signal && wire::decode(payload, signal)) return command.on_signal(signal.number);
    if (type == Type::resize && wire::decode(payload, size)) return command.on_resize(size);
    if (type == Type::credit && wire::decode(payload, credit)) return command.on_credit(credit);
    break_off(text("frame ", static_cast<unsigned>(type), " for stream ", command.stream()));
}

void Session::set_up(std::string_view payload) {
    // Read apart from the rest, which another version may lay out otherwise.
    wire::Reader start(payload);
    const std::uint32_t magic = start.u32();
    const std::uint32_t version = start.u32();
    if (magic == wire::kMagic && version != wire::kVersion)
        return break_off(text("protocol version ", version, "; this guest speaks ", wire::kVersion));
    wire::Setup setup;
    if (magic != wire::kMagic || !wire::decode(payload, setup)) return break_off("a setup that cannot be read");
    if (auto arranged = arrange(setup, machine_); !arranged) {
        say(arranged.error());
        say_failure(0, wire::FailureKind::setup, arranged.error());
        state_ = State::done;
        return;
    }
    state_ = State::ready;
    wire::Ready ready;
    ready.warnings = machine_.warnings;
    // A run whose programs cannot call the host runs all the same.
    if (auto opened = calls_.open(setup.call_port); !opened) ready.warnings.push_back(opened.error());
    ready.uptime_us = uptime_us();
    channel_.send(Type::ready, 0, wire::encode(ready));
}

void Session::execute(std::uint16_t stream, std::string_view payload) {
    wire::Exec exec;
    if (!wire::decode(payload, exec)) return break_off("an exec that cannot be read");
    std::erase_if(commands_, [stream](const auto& command) {
        return command->is_over() && (command->pid() == 0 || command->stream() == stream);
    });
    if (commands_.size() >= kMaxCommands) return say_failure(stream, wire::FailureKind::setup, "too many commands");
    if (stream != kFirstCommand) priority_.on_side_command();
    commands_.push_back(std::make_unique<Command>(loop_, channel_, machine_.group, priority_, stream));
    commands_.back()->start(exec);
}

Command* Session::find_command(std::uint16_t stream) {
    auto found = std::find_if(commands_.begin(), commands_.end(),
                              [stream](const auto& command) { return command->stream() == stream; });
    return found != commands_.end() ? found->get() : nullptr;
}

void Session::take_credit(std::string_view payload) {
    wire::Credit credit;
    if (!wire::decode(payload, credit) || credit.channel != static_cast<std::uint8_t>(Type::artifacts))
        return break_off("credit that cannot be read");
    collector_.on_credit(credit.bytes);
}

void Session::on_room() {
    for (auto& command : commands_) command->on_room();
    calls_.on_room();
    collector_.on_room();
}

// ---- the end ----

void Session::finish(std::string_view payload) {
    if (!wire::decode(payload, wanted_)) return break_off("a finish that cannot be read");
    if (state_ != State::ready) return;
    state_ = State::killing;
    kill_deadline_us_ = uptime_us() + kKillLimitUs;
    machine_.group.kill_all();
    calls_.close();
    collect_when_empty();
}

void Session::collect_when_empty() {
    if (!machine_.group.is_empty()) {
        if (uptime_us() < kill_deadline_us_) return;
        end_warnings_.push_back("processes of the command did not die");
    }
    state_ = State::collecting;
    collector_.start(wanted_);
}

void Session::skip_artifacts() {
    wanted_ = {};
    if (state_ != State::collecting) return;
    collector_.stop();
    on_collected();
}

void Session::on_collected() {
    state_ = State::syncing;
    syncer_.start(machine_.written);
}

void Session::on_synced(std::vector<std::string> warnings) {
    state_ = State::done;
    wire::Usage usage;
    usage.cpu_us = machine_.group.cpu_us();
    usage.peak_memory_bytes = machine_.group.peak_memory_bytes();
    usage.scratch_bytes = machine_.upper.bytes();
    usage.net_rx_bytes = machine_.network.received();
    usage.net_tx_bytes = machine_.network.sent();
    usage.oom_kills = machine_.group.oom_kills();
    usage.warnings = std::move(end_warnings_);
    usage.warnings.insert(usage.warnings.end(), warnings.begin(), warnings.end());
    channel_.send(Type::finished, 0, wire::encode(usage));
}

void Session::say_failure(std::uint16_t stream, wire::FailureKind kind, const std::string& message) {
    wire::Failure failure;
    failure.kind = static_cast<std::uint8_t>(kind);
    failure.message = message;
    channel_.send(Type::failed, stream, wire::encode(failure));
}

void Session::break_off(std::string_view what) {
    state_ = State::broken;
    const std::string message = text("the host sent what this guest does not understand: ", what);
    say(message);
    say_failure(0, wire::FailureKind::protocol, message);
}

void Session::on_garbage() { break_off("bytes that are no frame"); }

void Session::on_host_gone() {
    say("the host is gone");
    reboot(RB_AUTOBOOT);
}

}  // namespace vmette::guest
