#pragma once
/// The live side of a run: QEMU, its helpers, and the channel to the guest. It reports what happens and does what it is
/// told; *when* to do what (time limits, grace, retries) is decided by its owner, the scheduler.
///
/// All of it lives on the thread that runs the io_context, which must be the thread that called start(): children die
/// with the thread that made them.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>

#include "base/clock.h"
#include "base/error.h"
#include "base/layout.h"
#include "base/process.h"
#include "vm/artifacts.h"
#include "vm/spec.h"

namespace vmette::vm {

enum class Stream { out, err };

/// How the command ended.
struct CommandEnd {
    bool signaled = false;
    std::uint32_t code = 0;  ///< exit code, or signal number
    bool oom = false;
};

enum class GuestFailureKind { setup, not_found, not_executable, bad_user, bad_workdir, protocol };

struct GuestFailure {
    GuestFailureKind kind = GuestFailureKind::setup;
    std::string message;  ///< already harmless and one line
};

struct GuestUsage {
    std::uint64_t cpu_us = 0;
    std::uint64_t peak_memory_bytes = 0;
    std::uint64_t scratch_bytes = 0;
    std::uint64_t net_rx_bytes = 0, net_tx_bytes = 0;
    std::uint64_t oom_kills = 0;
    std::vector<std::string> warnings;  ///< harmless, one line each
};

/// One destination that the guest was refused, and how often.
struct RefusedTarget {
    std::string host;
    std::uint16_t port = 0;
    std::uint64_t packets = 0;
};

/// Why the machine is gone, or of no more use.
enum class DeathKind {
    qemu_exited,     ///< QEMU ended on its own, or was killed from outside
    guest_panicked,  ///< kernel panic
    guest_reset,     ///< the guest rebooted or powered off under us
    guest_silent,    ///< no beat for kSilenceLimit
    protocol,        ///< the guest broke the wire format
    helper_died,     ///< virtiofsd or slirp4netns ended
};

struct Death {
    DeathKind kind = DeathKind::qemu_exited;
    std::string message;  ///< one line, harmless, names what died and what it said last
};

/// After so long without a sign of life the session gives the guest up. Silence is reported after one second.
constexpr std::chrono::seconds kSilenceLimit{10};

/// Hears of one call that a program of the guest made to the host. Called as SessionObserver is; it may let go of its
/// GuestCall at any time.
class CallObserver {
public:
    virtual ~CallObserver() = default;
    /// Only after GuestCall::accept(). Credit is given back with GuestCall::consumed(); without it the program stops
    /// after 256 KiB.
    virtual void on_bytes(std::string_view bytes) = 0;
    /// The program has ended its side.
    virtual void on_end() = 0;
    /// There is room for more bytes to the program.
    virtual void on_room() = 0;
    /// The program's end is closed; the last event. None comes when the machine goes first.
    virtual void on_gone() = 0;
};

/// One such call. Destroying it hangs up: the program's writes fail from then on. Harmless when the machine is gone.
class GuestCall {
public:
    virtual ~GuestCall() = default;
    /// `observer` is borrowed until the end of the call or of this object.
    virtual void attend(CallObserver& observer) = 0;
    /// Somebody is there for it: bytes come. Until then they wait with the program. Once.
    virtual void accept() = 0;
    /// Bytes that may be sent now.
    virtual std::size_t room() const = 0;
    /// Requires bytes.size() <= room().
    virtual void send(std::string_view bytes) = 0;
    /// No more is sent.
    virtual void end() = 0;
    virtual void consumed(std::size_t bytes) = 0;
};

/// Called on the session's thread, never from inside a call into the session. After on_death nothing follows.
class SessionObserver {
public:
    virtual ~SessionObserver() = default;
    virtual void on_hello() = 0;
    virtual void on_ready(const std::vector<std::string>& warnings) = 0;
    virtual void on_started() = 0;
    /// Bytes the command wrote. The owner gives credit back with Session::consumed() when it has dealt with them;
    /// without it the guest stops after 256 KiB.
    virtual void on_output(Stream stream, std::string_view bytes) = 0;
    /// Bytes of the kernel's console; at full speed, hostile, no credit.
    virtual void on_console(std::string_view bytes) = 0;
    virtual void on_exited(const CommandEnd& end) = 0;
    virtual void on_guest_failure(const GuestFailure& failure) = 0;
    virtual void on_finished(const GuestUsage& usage) = 0;
    /// The guest fell silent for a second (true), or was heard again (false).
    virtual void on_silence(bool silent) = 0;
    /// There is room for more stdin; see Session::stdin_room().
    virtual void on_stdin_room() = 0;
    /// A program of the guest calls the host; where that means nothing, it hears that nobody is there.
    virtual void on_call(std::unique_ptr<GuestCall> call) { call.reset(); }
    virtual void on_death(const Death& death) = 0;
};

/// Hears of one command that runs beside the run's own. Called as SessionObserver is; it may let go of its SideCommand
/// at any time.
class SideObserver {
public:
    virtual ~SideObserver() = default;
    virtual void on_started() = 0;
    /// Credit is given back with SideCommand::consumed(); without it the command stops after 256 KiB.
    virtual void on_output(Stream stream, std::string_view bytes) = 0;
    virtual void on_stdin_room() = 0;
    /// One of these two is the last call, unless the machine goes first: then none comes.
    virtual void on_exited(const CommandEnd& end) = 0;
    virtual void on_failure(const GuestFailure& failure) = 0;
};

/// One such command. Destroying it before its end hangs it up, and kills it when that does not help. Harmless when the
/// machine is gone.
class SideCommand {
public:
    virtual ~SideCommand() = default;
    virtual std::size_t stdin_room() const = 0;
    /// Requires bytes.size() <= stdin_room().
    virtual void send_stdin(std::string_view bytes) = 0;
    virtual void close_stdin() = 0;
    virtual void signal(int number) = 0;
    virtual void resize(std::uint32_t columns, std::uint32_t rows) = 0;
    virtual void consumed(Stream stream, std::size_t bytes) = 0;
};

/// Every thing that outlives a call is written down before it is made and struck out when it is gone: the scheduler's
/// ledger. Children are written right after fork (their pid is not known before; they die with us by themselves).
class ResourceLog {
public:
    virtual ~ResourceLog() = default;
    virtual Result<std::int64_t> process_started(const ProcessIdentity& process, std::string_view what) = 0;
    virtual void process_gone(std::int64_t id) = 0;
};

/// What every session on this host shares.
struct SessionHost {
    const Layout& layout;
    const Clock& clock;
    ResourceLog& resources;
};

/// One machine. Destroying it pulls the machine without negotiating.
class Session {
public:
    /// Makes scratch and shares, the network namespace, and starts QEMU; does not wait for the guest. Takes a few
    /// milliseconds. `host` and `observer` are borrowed and outlive the session.
    /// Errors: not_found (QEMU or a helper is not installed; the message says which package), io, no_space, vm,
    /// bad_input (a disk that is not one), unsupported (device budget).
    static Result<std::unique_ptr<Session>> start(asio::io_context& io, const SessionHost& host, const VmSpec& spec,
                                                  SessionObserver& observer);
    virtual ~Session() = default;

    /// The guest was started from a snapshot.
    virtual bool warm() const = 0;
    /// The number under which its programs call the host; 0: they cannot. The spec's own, where that names one.
    virtual std::uint32_t call_port() const = 0;
    /// After on_hello: answered by on_ready or on_guest_failure.
    virtual void setup(const GuestSetup& setup) = 0;
    /// After on_ready: answered by on_started or on_guest_failure, later on_exited.
    virtual void exec(const GuestCommand& command) = 0;
    /// After on_ready and before finish(): one command more, beside the run's own and in its cgroup. `observer` is
    /// borrowed until the end of the command or of the handle. Errors: busy (32 run already, or the guest does not
    /// keep up), bad_input (longer than the wire takes), not_found (the machine is gone).
    virtual Result<std::unique_ptr<SideCommand>> open_side(const GuestCommand& command, SideObserver& observer) = 0;
    /// Bytes that may be sent now without exceeding the guest's credit.
    virtual std::size_t stdin_room() const = 0;
    /// Requires bytes.size() <= stdin_room().
    virtual void send_stdin(std::string_view bytes) = 0;
    virtual void close_stdin() = 0;
    /// To the command's process group.
    virtual void signal(int number) = 0;
    virtual void resize(std::uint32_t columns, std::uint32_t rows) = 0;
    virtual void consumed(Stream stream, std::size_t bytes) = 0;
    /// After on_started: end what still runs, hand out artifacts, sync and count. Answered by calls of the sink, and by
    /// on_finished.
    virtual void finish(const ArtifactRequest& artifacts) = 0;
    /// After finish(): no more artifacts, go on with the end. The sink is not called again.
    virtual void skip_artifacts() = 0;
    /// What the network's rules refused to the guest so far; nothing without a network. Takes some 10 ms.
    virtual std::vector<RefusedTarget> refused_traffic() = 0;
    /// Pulls the machine: everything it consisted of is killed, reaped and freed, step by step; a step that fails is
    /// reported and the rest go on. Returns what failed. No observer call follows. Takes some milliseconds.
    virtual std::vector<std::string> pull() = 0;
};

}  // namespace vmette::vm
