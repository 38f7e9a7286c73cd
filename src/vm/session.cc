#include "vm/session.h"

#include <system_error>

#include "vm/live_session.h"

namespace vmette::vm {
namespace {

/// What the owner holds: letting go of it pulls the machine, even from inside an observer call.
class SessionHandle final : public Session {
public:
    explicit SessionHandle(std::shared_ptr<LiveSession> live) : live_(std::move(live)) {}
    ~SessionHandle() override { live_->pull(); }

    bool warm() const override { return live_->warm(); }
    void setup(const GuestSetup& setup) override { live_->setup(setup); }
    void exec(const GuestCommand& command) override { live_->exec(command); }
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
