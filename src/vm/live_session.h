#pragma once
/// A running machine: joins its parts' events into the observer's, and decides when it is dead.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include "vm/channel.h"
#include "vm/console.h"
#include "vm/death.h"
#include "vm/guest_calls.h"
#include "vm/parts.h"
#include "vm/qmp.h"
#include "vm/session.h"
#include "vm/side_commands.h"
#include "vm/vsock_calls.h"

namespace vmette::vm {

/// Held by shared_ptr alone: handlers keep it alive while an observer may be letting go of it.
class LiveSession final : public ChannelEvents, public std::enable_shared_from_this<LiveSession> {
public:
    LiveSession(asio::io_context& io, const SessionHost& host, const VmSpec& spec, SessionObserver& observer,
                Parts parts);
    ~LiveSession() override;
    /// Begins to listen.
    Result<> start();

    void setup(const GuestSetup& setup);
    void exec(const GuestCommand& command);
    void finish(const ArtifactRequest& artifacts);
    void skip_artifacts();
    std::vector<RefusedTarget> refused_traffic();
    std::vector<std::string> pull();
    bool over() const { return over_; }
    bool warm() const { return !parts_.snapshot.empty(); }
    std::uint32_t call_port() const { return parts_.call_port; }
    Channel& channel() { return channel_; }
    SideCommands& sides() { return sides_; }

private:
    // ChannelEvents
    void heard() override;
    void hello(const wire::GuestHello& hello) override;
    void ready(const wire::Ready& ready) override;
    void started() override;
    void output(Stream stream, std::string_view bytes) override;
    void exited(const wire::Exited& exited) override;
    void failed(const wire::Failure& failure) override;
    void finished(const wire::Usage& usage) override;
    void stdin_room() override;
    void channel_ended(const Result<>& cut) override;
    void channel_broken(const Error& error) override;

    /// By either way.
    void take_call(std::unique_ptr<GuestCall> call);

    using Watch = asio::posix::stream_descriptor;
    template <class Handler>
    Result<> watch(int fd, Handler handler);
    template <class Handler>
    void await(Watch& watch, Handler handler);
    /// Has QEMU load the snapshot, and gives it a limited time for that.
    void resume();
    void resumed();
    void on_qmp(const QmpEvent& event);
    void qemu_ended();
    void helper_ended(std::string message);
    void network_answered();
    void send_setup();
    void refuse(const Error& error);
    void watch_silence();
    void silence_checked();
    void die_unless_qemu_did(Death death, Duration patience);
    void die(const Death& death);
    void stop_listening();

    asio::io_context& io_;
    const SessionHost host_;
    const VmSpec spec_;
    SessionObserver& observer_;
    Parts parts_;
    Channel channel_;
    SideCommands sides_;
    GuestCalls calls_;
    std::optional<VsockCalls> vsock_calls_;
    Console console_;
    Qmp qmp_;
    std::vector<std::unique_ptr<Watch>> watches_;
    asio::steady_timer silence_timer_;
    asio::steady_timer patience_;

    Traces traces_;
    std::optional<GuestSetup> setup_;
    bool network_up_ = false;
    bool over_ = false;
    bool dying_ = false;
    bool silent_ = false;
    bool io_error_told_ = false;
    MonotonicTime heard_at_{};
};

}  // namespace vmette::vm
