#include "vm/session.h"

#include <system_error>

#include "vm/live_session.h"

namespace vmette::vm {
namespace {

/// Does nothing once the machine is gone.
class SideHandle final : public SideCommand {
public:
    SideHandle(std::weak_ptr<LiveSession> live, std::uint16_t stream) : live_(std::move(live)), stream_(stream) {}
    ~SideHandle() override {
        if (auto* sides = open()) sides->abandon(stream_);
    }
    std::size_t stdin_room() const override {
        auto* sides = open();
        return sides != nullptr ? sides->stdin_room(stream_) : 0;
    }
    void send_stdin(std::string_view bytes) override {
        if (auto* sides = open()) sides->send_stdin(stream_, bytes);
    }
    void close_stdin() override {
        if (auto* sides = open()) sides->close_stdin(stream_);
    }
    void signal(int number) override {
        if (auto* sides = open()) sides->signal(stream_, number);
    }
    void resize(std::uint32_t columns, std::uint32_t rows) override {
        if (auto* sides = open()) sides->resize(stream_, columns, rows);
    }
    void consumed(Stream stream, std::size_t bytes) override {
        if (auto* sides = open()) sides->consumed(stream_, stream, bytes);
    }

private:
    /// One thread: the session does not go while one of the calls above is under way.
    SideCommands* open() const {
        auto live = live_.lock();
        return live && !live->over() ? &live->sides() : nullptr;
    }
    std::weak_ptr<LiveSession> live_;
    std::uint16_t stream_;
};

/// What the owner holds: letting go of it pulls the machine, even from inside an observer call.
class SessionHandle final : public Session {
public:
    explicit SessionHandle(std::shared_ptr<LiveSession> live) : live_(std::move(live)) {}
    ~SessionHandle() override { live_->pull(); }

    bool warm() const override { return live_->warm(); }
    std::uint32_t call_port() const override { return live_->call_port(); }
    void setup(const GuestSetup& setup) override { live_->setup(setup); }
    void exec(const GuestCommand& command) override { live_->exec(command); }
    Result<std::unique_ptr<SideCommand>> open_side(const GuestCommand& command, SideObserver& observer) override {
        if (live_->over()) return fail(ErrorCode::not_found, "the machine is gone");
        VMETTE_TRY(std::uint16_t stream, live_->sides().open(command, observer, live_));
        return std::make_unique<SideHandle>(live_, stream);
    }
    std::size_t stdin_room() const override { return live_->over() ? 0 : live_->channel().stdin_room(); }
    void send_stdin(std::string_view bytes) override { live_->channel().input(bytes); }
    void close_stdin() override { live_->channel().input_end(); }
    void signal(int number) override { live_->channel().signal(static_cast<std::uint32_t>(number)); }
    void resize(std::uint32_t columns, std::uint32_t rows) override { live_->channel().resize({columns, rows}); }
    void consumed(Stream stream, std::size_t bytes) override { live_->channel().consumed(stream, bytes); }
    void finish(const ArtifactRequest& artifacts) override { live_->finish(artifacts); }
    void skip_artifacts() override { live_->skip_artifacts(); }
    std::vector<RefusedTarget> refused_traffic() override { return live_->refused_traffic(); }
    std::vector<std::string> pull() override { return live_->pull(); }

private:
    std::shared_ptr<LiveSession> live_;
};

}  // namespace

Result<std::unique_ptr<Session>> Session::start(asio::io_context& io, const SessionHost& host, const VmSpec& spec,
                                                SessionObserver& observer) {
    VMETTE_TRY(Parts parts, Parts::make(host, spec));
    try {
        auto live = std::make_shared<LiveSession>(io, host, spec, observer, std::move(parts));
        VMETTE_CHECK_OK(live->start());
        return std::make_unique<SessionHandle>(std::move(live));
    } catch (const std::system_error& error) {
        return fail(ErrorCode::io, "cannot watch the machine: {}", error.what());
    }
}

}  // namespace vmette::vm
