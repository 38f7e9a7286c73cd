#include "scheduler/machine_run.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <limits>

#include <asio/post.hpp>

#include "base/log.h"
#include "base/text.h"
#include "scheduler/machine.h"
#include "vm/snapshots.h"

namespace vmette::scheduler {
namespace {

/// Kept of the console: kernel and init are terse, so more than this is a flood.
constexpr std::uint64_t kConsoleLimit = 1 * kMiB;
/// How long a guest may take to write its shares and disks through, and to count; and to hand out artifacts, beside the
/// time that their bytes take at the slowest that is borne.
constexpr Duration kCollectLimit = std::chrono::seconds(60);
constexpr std::uint64_t kSlowestPerMs = 1000;  // bytes
/// How long the last output may wait for a reader that does not read, once the machine is gone.
constexpr Duration kFlushLimit = std::chrono::seconds(10);

}  // namespace

Result<std::int64_t> Ledger::process_started(const ProcessIdentity& process, std::string_view what) {
    store::LedgerEntry entry;
    entry.run_id = run_id_;
    entry.kind = store::LedgerKind::process;
    entry.process = process;
    entry.what = what;
    return store_.ledger_add(entry);
}

void Ledger::process_gone(std::int64_t id) {
    if (auto removed = store_.ledger_remove(id); !removed) log(LogLevel::warn, "{}", removed.error().text());
}

MachineRun::MachineRun(const Surroundings& around, store::RunRecord& record, const vm::VmSpec& spec,
                       const vm::GuestSetup& setup, const vm::GuestCommand& command, MonotonicTime begin)
    : around_(around),
      record_(record),
      spec_(spec),
      setup_(setup),
      command_(command),
      phase_began_(begin),
      io_(around.io),
      ledger_(around.host.store, record.id),
      session_host_{around.host.layout, around.host.clock, ledger_},
      stdout_log_(around.sandbox.limits.output),
      stderr_log_(around.sandbox.limits.output),
      console_log_(kConsoleLimit),
      stdout_(io_, around.options.stdout_fd,
              [this](std::size_t n) {
                  if (session_) session_->consumed(vm::Stream::out, n);
              }),
      stderr_(io_, around.options.stderr_fd,
              [this](std::size_t n) {
                  if (session_) session_->consumed(vm::Stream::err, n);
              }),
      phase_timer_(io_),
      idle_timer_(io_),
      signal_fd_(io_) {}

Ending MachineRun::run() {
    auto fail_with = [this](std::string reason, Error error) {
        ending_.host_failure = std::move(error);
        ending_.host_failure_reason = std::move(reason);
        close_logs();
        return ending_;
    };
    if (auto opened = open_logs(); !opened) return fail_with("setup-error", opened.error());
    prepare_snapshot();
    auto started = start_session();
    mark(record_.phases.prepare_ms);
    if (!started) return fail_with("vm-error", started.error());
    around_.observer.on_phase("boot");
    arm(phase_timer_, around_.sandbox.limits.boot_timeout, Event::boot_timeout);
    watch_signals();
    if (around_.clients != nullptr) around_.clients->serve(*this);
    io_.run();
    teardown();
    return ending_;
}

void MachineRun::prepare_snapshot() {
    const auto& wish = around_.sandbox.snapshot.warm;
    spec_.warm = wish.value_or(true);
    vm::Snapshots snapshots(around_.host.layout);
    if (!spec_.warm || !snapshots.place(spec_)) return;
    if (auto ours = snapshots.check_folder(); !ours) {
        log(LogLevel::warn, "the machine boots: {}", ours.error().text());
        spec_.warm = false;
        return;
    }
    if (snapshots.open(spec_)) return;
    if (!snapshots.worth_making(spec_) && !wish) return;
    int stop = around_.signals != nullptr ? around_.signals->fd() : -1;
    auto made = snapshots.make(session_host_, spec_, around_.sandbox.limits.boot_timeout, stop);
    if (!made) log(LogLevel::info, "the machine boots: {}", made.error().text());
}

Result<> MachineRun::start_session() {
    VMETTE_TRY(session_, vm::Session::start(io_, session_host_, spec_, *this));
    record_.warm = session_->warm();
    return {};
}

void MachineRun::boot_instead() {
    if (state_ == State::over) return;
    session_.reset();
    state_ = State::booting;
    spec_.warm = false;
    if (auto started = start_session(); !started) {
        ending_.host_failure = started.error();
        ending_.host_failure_reason = "vm-error";
        state_ = State::over;
        end();
    }
}

Result<> MachineRun::open_logs() {
    const auto& stdin_source = around_.sandbox.stdin_source;
    if (stdin_source.mode == manifest::StdinMode::file) {
        // Not to wait for a writer: a FIFO without one is empty.
        VMETTE_TRY(stdin_file_, open_file(stdin_source.file, O_RDONLY | O_NONBLOCK));
    }
    if (!around_.options.keep_logs) return {};
    std::uint64_t limit = around_.sandbox.limits.output;
    VMETTE_TRY(stdout_log_, BoundedLog::create(record_.log_stdout, limit, around_.host.clock));
    VMETTE_TRY(stderr_log_, BoundedLog::create(record_.log_stderr, limit, around_.host.clock));
    VMETTE_TRY(console_log_, BoundedLog::create(record_.log_console, kConsoleLimit, around_.host.clock));
    return {};
}

/// Closes a phase: its milliseconds are those since the last one was closed.
std::optional<double>& MachineRun::mark(std::optional<double>& phase) {
    auto now = around_.host.clock.monotonic();
    phase = std::chrono::duration<double, std::milli>(now - phase_began_).count();
    phase_began_ = now;
    return phase;
}

void MachineRun::feed(Event event) {
    if (state_ == State::over) return;
    Transition transition = next(state_, event);
    log(LogLevel::debug, "run {}: {} + {} -> {}", record_.id, to_string(state_), to_string(event),
        to_string(transition.next));
    state_ = transition.next;
    if (transition.is_cause && !ending_.cause) ending_.cause = event;
    act(transition.action);
    // Not from inside a call of the session, which end() destroys.
    if (state_ == State::over) asio::post(io_, [this] { end(); });
}

void MachineRun::act(Action action) {
    switch (action) {
        case Action::none:
            break;
        case Action::send_setup:
            mark(record_.phases.boot_ms);
            session_->setup(setup_);
            break;
        case Action::send_exec:
            request_command();
            break;
        case Action::note_start:
            command_began();
            break;
        case Action::terminate:
            terminate();
            break;
        case Action::collect:
            collect();
            break;
    }
}

void MachineRun::request_command() {
    if (command_.tty) {
        winsize size{};
        if (::ioctl(around_.options.stdin_fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
            command_.columns = size.ws_col;
            command_.rows = size.ws_row;
        }
    }
    name_call_port(command_, session_->call_port());
    // Before the guest is told. Should we die, whoever finds the row must not take the command for one that never ran.
    record_.started_at = around_.host.clock.now();
    if (auto written = around_.host.store.update_run(record_); !written) {
        ending_.host_failure = written.error().because("the history cannot be written, so the command was not started");
        ending_.host_failure_reason = "vm-error";
        state_ = State::over;
        return;
    }
    session_->exec(command_);
}

void MachineRun::command_began() {
    mark(record_.phases.ready_ms);
    ending_.began = true;
    record_.started_at = around_.host.clock.now();
    const auto& limits = around_.sandbox.limits;
    phase_timer_.cancel();
    if (limits.timeout.count() > 0) {
        ending_.limit = limits.timeout;
        arm(phase_timer_, limits.timeout, Event::command_timeout);
    }
    last_output_ = std::chrono::steady_clock::now();
    if (limits.idle_timeout.count() > 0) watch_idle();
    if (command_.stdin_open) {
        int fd = stdin_file_ ? stdin_file_.get() : around_.options.stdin_fd;
        if (fd >= 0)
            stdin_.emplace(io_, fd, *session_);
        else
            session_->close_stdin();
    }
    around_.observer.on_phase("exec");
}

void MachineRun::terminate() {
    session_->signal(SIGTERM);
    idle_timer_.cancel();
    arm(phase_timer_, around_.sandbox.limits.grace, Event::grace_over);
}

void MachineRun::collect() {
    mark(record_.phases.exec_ms);
    around_.observer.on_phase("collect");
    collect_began_ = std::chrono::steady_clock::now();
    const auto& wanted = around_.sandbox.artifacts;
    if (!wanted.empty())
        artifacts_.emplace(around_.host.layout.run_dir(record_.id) / "artifacts", wanted, [this] { artifacts_over(); });
    session_->finish(artifacts_ ? artifacts_->request() : vm::ArtifactRequest{});
    for (auto& refused : session_->refused_traffic())  // while the guest syncs
        record_.net_denied.push_back({std::move(refused.host), refused.port, refused.packets});
    if (artifacts_)
        watch_artifacts();
    else
        arm(phase_timer_, kCollectLimit, Event::collect_timeout);
}

void MachineRun::watch_artifacts() {
    auto for_bytes = std::chrono::milliseconds(artifacts_->received() / kSlowestPerMs);
    auto until = collect_began_ + kCollectLimit + for_bytes;
    phase_timer_.expires_at(until);
    phase_timer_.async_wait([this, until](std::error_code error) {
        if (error || state_ != State::collecting || artifacts_->over()) return;
        auto more = std::chrono::milliseconds(artifacts_->received() / kSlowestPerMs);
        if (until < collect_began_ + kCollectLimit + more) return watch_artifacts();
        artifacts_->give_up("the guest took too long to hand them out");
    });
}

/// By its report nothing more comes; in all other cases that has to be said. A guest that has finished hears it too
/// late.
void MachineRun::artifacts_over() {
    if (state_ != State::collecting || !session_) return;
    session_->skip_artifacts();
    arm(phase_timer_, kCollectLimit, Event::collect_timeout);
}

void MachineRun::arm(asio::steady_timer& timer, Duration after, Event event) {
    timer.expires_after(after);
    timer.async_wait([this, event, after](std::error_code error) {
        if (error) return;
        if (!ending_.cause) ending_.limit = after;
        feed(event);
    });
}

/// The timer is not moved with every byte: when it fires it looks how long ago the last one was.
void MachineRun::watch_idle() {
    Duration limit = around_.sandbox.limits.idle_timeout;
    idle_timer_.expires_at(last_output_ + limit);
    idle_timer_.async_wait([this, limit](std::error_code error) {
        if (error || state_ != State::running) return;
        if (std::chrono::steady_clock::now() - last_output_ < limit) return watch_idle();
        ending_.limit = limit;
        feed(Event::idle_timeout);
    });
}

void MachineRun::watch_signals() {
    if (around_.signals == nullptr) return;
    if (!signal_fd_.is_open()) {
        auto copy = duplicate(around_.signals->fd());
        if (!copy) return note(copy.error().text());
        signal_fd_.assign(copy->release());
    }
    signal_fd_.async_wait(asio::posix::stream_descriptor::wait_read, [this](std::error_code error) {
        if (error) return;
        while (auto number = around_.signals->take()) on_signal(*number);
        watch_signals();
    });
}

void MachineRun::on_signal(int number) {
    if (number == SIGWINCH) return send_window_size();
    if (streams_open_ > 0) return give_up_flush();
    if (state_ == State::collecting && artifacts_) artifacts_->give_up("interrupted");
    bool again = ending_.stop_signal != 0;
    if (!again) ending_.stop_signal = number;
    feed(again ? Event::stop_now : Event::stop);
}

void MachineRun::on_stop_request(bool now) {
    if (now && ending_.stop_signal == 0) ending_.stop_signal = SIGTERM;
    on_signal(SIGTERM);
}

Result<std::unique_ptr<vm::SideCommand>> MachineRun::open_command(const live::Request& request,
                                                                  vm::SideObserver& observer) {
    if (state_ < State::running) return fail(ErrorCode::busy, "the run's command has not started yet");
    if (state_ > State::stopping) return fail(ErrorCode::busy, "the run is ending");
    return session_->open_side(side_command(request, command_), observer);
}

void MachineRun::send_window_size() {
    winsize size{};
    bool running = state_ == State::running || state_ == State::stopping;
    if (running && command_.tty && ::ioctl(around_.options.stdin_fd, TIOCGWINSZ, &size) == 0)
        session_->resize(size.ws_col, size.ws_row);
}

void MachineRun::on_hello() {
    if (spec_.warm && !session_->warm()) vm::Snapshots(around_.host.layout).note_boot(spec_);
    feed(Event::hello);
}

void MachineRun::on_ready(const std::vector<std::string>& warnings) {
    for (const auto& warning : warnings) around_.observer.on_warning(warning);
    feed(Event::ready);
}

void MachineRun::on_started() { feed(Event::started); }

void MachineRun::on_output(vm::Stream stream, std::string_view bytes) {
    last_output_ = std::chrono::steady_clock::now();
    bool out = stream == vm::Stream::out;
    (out ? stdout_log_ : stderr_log_).append(bytes);
    (out ? stdout_ : stderr_).push(bytes);
}

void MachineRun::on_console(std::string_view bytes) { console_log_.append(bytes); }

void MachineRun::on_exited(const vm::CommandEnd& end) {
    ending_.command = end;
    feed(Event::exited);
}

void MachineRun::on_guest_failure(const vm::GuestFailure& failure) {
    if (state_ == State::collecting) note(failure.message);
    ending_.guest_failure = failure;
    feed(Event::guest_failure);
}

void MachineRun::on_finished(const vm::GuestUsage& usage) {
    // The guest may claim anything: no more than the machine has, and nothing that a database would turn negative.
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    record_.usage.cpu_ms = std::min(usage.cpu_us, kMost) / 1000;
    record_.usage.peak_memory_bytes = std::min(usage.peak_memory_bytes, around_.sandbox.limits.memory);
    record_.usage.scratch_bytes = std::min(usage.scratch_bytes, std::max(spec_.scratch_bytes, spec_.memory_bytes));
    record_.usage.net_rx_bytes = std::min(usage.net_rx_bytes, kMost);
    record_.usage.net_tx_bytes = std::min(usage.net_tx_bytes, kMost);
    for (const auto& warning : usage.warnings) {
        around_.observer.on_warning(warning);
        note(warning);
    }
    feed(Event::finished);
}

void MachineRun::on_silence(bool silent) {
    // Of one machine a person wants to know at once; of hundreds on a host that is busy it is noise.
    if (silent && around_.options.batch.empty())
        around_.observer.on_warning("the guest has not answered for a second");
    else
        log(LogLevel::info, "run {}: the guest {}", record_.id,
            silent ? "has not answered for a second" : "answers again");
}

void MachineRun::on_stdin_room() {
    if (stdin_) stdin_->on_room();
}

void MachineRun::on_call(std::unique_ptr<vm::GuestCall> call) {
    if (around_.desk != nullptr) around_.desk->take(std::move(call));
}

void MachineRun::on_death(const vm::Death& death) {
    if (session_->warm() && (state_ == State::booting || state_ == State::setting_up)) {
        log(LogLevel::info, "run {}: the start from a snapshot failed ({}), the machine boots", record_.id,
            death.message);
        return asio::post(io_, [this] { boot_instead(); });
    }
    if (state_ == State::collecting) note(death.message);
    ending_.death = death;
    feed(Event::death);
}

void MachineRun::end() {
    if (ending_.command && !record_.phases.collect_ms) mark(record_.phases.collect_ms);
    if (ending_.began && !ending_.command) mark(record_.phases.exec_ms);
    if (!ending_.began) record_.started_at.reset();
    phase_timer_.cancel();
    idle_timer_.cancel();
    if (stdin_) stdin_->stop();
    around_.observer.on_phase("teardown");
    if (session_)
        for (const auto& problem : session_->pull()) note(problem);
    session_.reset();
    keep_artifacts();
    flush_output();
}

void MachineRun::keep_artifacts() {
    if (!artifacts_) return;
    artifacts_->close();
    record_.artifacts = artifacts_->take_records();
    for (const auto& problem : artifacts_->problems()) {
        around_.observer.on_warning(problem);
        note(problem);
    }
}

/// The machine is gone; what it wrote may still wait for a slow reader. A signal, or the limit, ends that too.
void MachineRun::flush_output() {
    auto one_done = [this] {
        if (--streams_open_ > 0) return;
        phase_timer_.cancel();
        if (signal_fd_.is_open()) signal_fd_.cancel();
        io_.stop();
    };
    streams_open_ = 2;
    if (around_.clients != nullptr) {
        ++streams_open_;
        around_.clients->leave(one_done);
    }
    if (around_.desk != nullptr) {
        ++streams_open_;
        around_.desk->leave(one_done);
    }
    phase_timer_.expires_after(kFlushLimit);
    phase_timer_.async_wait([this](std::error_code error) {
        if (!error) give_up_flush();
    });
    stdout_.when_idle(one_done);
    stderr_.when_idle(one_done);
}

void MachineRun::give_up_flush() {
    note("the reader of the output did not take all of it");
    io_.stop();
}

void MachineRun::teardown() {
    close_logs();
    mark(record_.phases.teardown_ms);
}

void MachineRun::close_logs() {
    for (auto* log_file : {&stdout_log_, &stderr_log_, &console_log_}) {
        log_file->close();
        if (log_file->problem()) note("a log is not whole: " + log_file->problem()->text());
    }
    record_.usage.stdout_bytes = stdout_log_.total();
    record_.usage.stderr_bytes = stderr_log_.total();
    record_.usage.stdout_dropped = stdout_log_.dropped();
    record_.usage.stderr_dropped = stderr_log_.dropped();
}

void MachineRun::note(std::string problem) {
    log(LogLevel::info, "run {}: {}", record_.id, problem);
    if (late_problem_.empty()) late_problem_ = std::move(problem);
}

}  // namespace vmette::scheduler
