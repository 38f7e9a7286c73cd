#pragma once
/// One machine from its start to its teardown: joins the table of life.h to a session, timers, streams and signals.

#include <optional>
#include <string>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include "scheduler/artifact_files.h"
#include "scheduler/calls/desk.h"
#include "scheduler/input.h"
#include "scheduler/life.h"
#include "scheduler/live/server.h"
#include "scheduler/output.h"
#include "scheduler/run.h"
#include "scheduler/stop.h"
#include "scheduler/verdict.h"
#include "vm/session.h"

namespace vmette::scheduler {

/// What a machine's run is given by its surroundings; all borrowed.
struct Surroundings {
    const RunHost& host;
    const manifest::Sandbox& sandbox;
    const RunOptions& options;
    RunObserver& observer;
    StopSource* signals;    ///< null: none
    asio::io_context& io;   ///< run by MachineRun::run(), once
    live::Server* clients;  ///< null: none can come
    calls::Desk* desk;      ///< where the guest's calls are taken; null: nowhere
};

/// The ledger of one run's processes, in the store.
class Ledger final : public vm::ResourceLog {
public:
    Ledger(store::Store& store, std::string run_id) : store_(store), run_id_(std::move(run_id)) {}
    Result<std::int64_t> process_started(const ProcessIdentity& process, std::string_view what) override;
    void process_gone(std::int64_t id) override;

private:
    store::Store& store_;
    std::string run_id_;
};

/// Used once, on one thread. Fills phases, usage and times of `record` as they become known.
class MachineRun final : private vm::SessionObserver, private live::ServedRun {
public:
    /// `begin` is when preparation began, for the phases.
    MachineRun(const Surroundings& around, store::RunRecord& record, const vm::VmSpec& spec,
               const vm::GuestSetup& setup, const vm::GuestCommand& command, MonotonicTime begin);
    /// Returns when the machine and everything around it is gone.
    Ending run();
    /// Something that went wrong without changing how the run ended; empty: nothing.
    const std::string& late_problem() const { return late_problem_; }

private:
    void on_hello() override;
    void on_ready(const std::vector<std::string>& warnings) override;
    void on_started() override;
    void on_output(vm::Stream stream, std::string_view bytes) override;
    void on_console(std::string_view bytes) override;
    void on_exited(const vm::CommandEnd& end) override;
    void on_guest_failure(const vm::GuestFailure& failure) override;
    void on_finished(const vm::GuestUsage& usage) override;
    void on_silence(bool silent) override;
    void on_stdin_room() override;
    void on_call(std::unique_ptr<vm::GuestCall> call) override;
    void on_death(const vm::Death& death) override;
    void on_stop_request(bool now) override;
    Result<std::unique_ptr<vm::SideCommand>> open_command(const live::Request& request,
                                                          vm::SideObserver& observer) override;

    /// Makes the snapshot that this machine could start from, where that pays.
    void prepare_snapshot();
    Result<> start_session();
    /// A snapshot that does not get the guest ready costs time, not the run: nothing of the command has happened yet.
    void boot_instead();
    Result<> open_logs();
    void feed(Event event);
    void act(Action action);
    void request_command();
    void command_began();
    void terminate();
    void collect();
    /// The guest has a minute, and more as artifacts come; then they are given up, and after as long again the run is.
    void watch_artifacts();
    void artifacts_over();
    void arm(asio::steady_timer& timer, Duration after, Event event);
    void watch_idle();
    void watch_signals();
    void on_signal(int number);
    void send_window_size();
    void end();
    void keep_artifacts();
    void flush_output();
    void give_up_flush();
    void teardown();
    void close_logs();
    void note(std::string problem);
    std::optional<double>& mark(std::optional<double>& phase);

    Surroundings around_;
    store::RunRecord& record_;
    vm::VmSpec spec_;
    const vm::GuestSetup& setup_;
    vm::GuestCommand command_;
    MonotonicTime phase_began_;

    asio::io_context& io_;
    Ledger ledger_;
    vm::SessionHost session_host_;
    std::unique_ptr<vm::Session> session_;
    State state_ = State::booting;
    Ending ending_;
    std::string late_problem_;

    std::optional<ArtifactFiles> artifacts_;
    MonotonicTime collect_began_{};
    BoundedLog stdout_log_, stderr_log_, console_log_;
    Forwarder stdout_, stderr_;
    Fd stdin_file_;
    std::optional<StdinPump> stdin_;
    asio::steady_timer phase_timer_, idle_timer_;
    asio::posix::stream_descriptor signal_fd_;
    MonotonicTime last_output_{};
    int streams_open_ = 0;
};

}  // namespace vmette::scheduler
