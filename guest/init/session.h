#pragma once
/// The guest's side of the protocol: what may come when, and what is answered.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../protocol.h"
#include "calls.h"
#include "channel.h"
#include "collector.h"
#include "command.h"
#include "finish.h"
#include "loop.h"
#include "machine.h"
#include "priority.h"

namespace vmette::guest {

class Session final : public FrameHandler, public CollectObserver, public SyncObserver {
public:
    Session(Loop& loop, Fd port);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Says hello; nothing per-run has happened before.
    void greet();
    /// Watches for ended children and beats from now on. Requires SIGCHLD to be blocked.
    Outcome<> attend();

    void on_frame(wire::Header header, std::string_view payload) override;
    void on_garbage() override;
    void on_room() override;
    void on_host_gone() override;
    void on_collected() override;
    void on_synced(std::vector<std::string> warnings) override;

private:
    /// `killing`, `collecting` and `syncing` are the parts of finish; after it, or a failed set-up, there is nothing to
    /// do.
    enum class State { greeted, ready, killing, collecting, syncing, done, broken };

    void on_beat();
    void on_child();
    void take_session_frame(wire::Type type, std::string_view payload);
    void take_command_frame(wire::Header header, std::string_view payload);
    void take_control(Command& command, wire::Type type, std::string_view payload);
    void set_up(std::string_view payload);
    void execute(std::uint16_t stream, std::string_view payload);
    void take_credit(std::string_view payload);
    void finish(std::string_view payload);
    /// Goes on to artifacts once nothing of the commands is left, or the time for that is up.
    void collect_when_empty();
    void skip_artifacts();
    void say_failure(std::uint16_t stream, wire::FailureKind kind, const std::string& message);
    /// The host does not speak the protocol: said on both sides, and nothing it sends is acted on any more.
    void break_off(std::string_view what);
    Command* find_command(std::uint16_t stream);

    /// Commands that run at a time; a host that wants more has lost count.
    static constexpr std::size_t kMaxCommands = 64;

    Loop& loop_;
    Channel channel_;
    State state_ = State::greeted;
    Machine machine_;
    Priority priority_;
    std::vector<std::unique_ptr<Command>> commands_;
    Calls calls_;
    wire::Finish wanted_;
    Collector collector_;
    Syncer syncer_;
    std::uint64_t kill_deadline_us_ = 0;
    std::vector<std::string> end_warnings_;
    Fd beat_, children_;
    On<Session, &Session::on_beat> beat_watcher_{*this};
    On<Session, &Session::on_child> child_watcher_{*this};
};

}  // namespace vmette::guest
