#include "vm/live_session.h"

#include <algorithm>

#include <asio/post.hpp>

#include "base/log.h"
#include "base/text.h"
#include "vm/guarded.h"
#include "vm/guest_setup.h"
#include "vm/snapshots.h"
#include "vm/vsock.h"

namespace vmette::vm {
namespace {

constexpr std::chrono::seconds kSilenceNotice{1};
/// A timer that fires so late says that this process was stopped, not that the guest was silent.
constexpr Duration kLateTimer{500};
/// When a helper dies or the channel closes, QEMU's own death is often the cause: its end is seen a moment later.
constexpr Duration kHelperPatience{100};
constexpr Duration kChannelPatience{500};
/// From QEMU's start to the resumed guest it takes some 25 ms on an idle host.
constexpr std::chrono::seconds kResumeLimit{5};
/// Of a guest that warns without end.
constexpr std::size_t kMaxWarnings = 64;

std::vector<std::string> harmless_lines(const std::vector<std::string>& from) {
    std::vector<std::string> out;
    for (const auto& line : from) {
        if (out.size() == kMaxWarnings) {
            out.push_back(fmt::format("… and {} more", from.size() - kMaxWarnings));
            break;
        }
        out.push_back(harmless_line(line));
    }
    return out;
}

/// Ended on its own terms, as when its peer went away.
bool ended_well(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

std::string helper_message(std::string_view what, int status, const std::string& said) {
    auto message = fmt::format("{} {}", what, describe_status(status));
    return said.empty() ? message : message + ": " + said;
}

}  // namespace

LiveSession::LiveSession(asio::io_context& io, const SessionHost& host, const VmSpec& spec, SessionObserver& observer,
                         Parts parts)
    : io_(io),
      host_(host),
      spec_(spec),
      observer_(observer),
      parts_(std::move(parts)),
      channel_(io, std::move(parts_.connections.channel), host.clock, *this, &sides_, &calls_),
      sides_(io, channel_),
      calls_(io, host.clock, channel_, [this](std::unique_ptr<GuestCall> call) { take_call(std::move(call)); }),
      console_(io, std::move(parts_.connections.console),
               [this](std::string_view bytes) {
                   if (!over_) observer_.on_console(bytes);
               }),
      qmp_(io, std::move(parts_.connections.qmp), [this](const QmpEvent& event) { on_qmp(event); }),
      silence_timer_(io),
      patience_(io) {
    if (!parts_.vsock) return;
    vsock_calls_.emplace(
        io, std::move(parts_.vsock->listener),
        [cid = parts_.vsock->cid](int socket) { return vsock_peer(socket) == cid; },
        [this](std::unique_ptr<GuestCall> call) { take_call(std::move(call)); });
}

LiveSession::~LiveSession() { pull(); }

Result<> LiveSession::start() {
    auto self = weak_from_this();
    VMETTE_CHECK_OK(watch(parts_.qemu.pidfd(), [this] { qemu_ended(); }));
    for (auto& share : parts_.shares) {
        if (!share.server) continue;
        VMETTE_CHECK_OK(watch(share.server->process().pidfd(), [this, &share] {
            auto status = share.server->process().try_wait().value_or(0);
            helper_ended(
                helper_message("virtiofsd of share " + harmless_line(share.tag), status, share.server->last_words()));
        }));
    }
    if (parts_.net) {
        VMETTE_CHECK_OK(watch(parts_.net->ready_fd(), [this] { network_answered(); }));
        VMETTE_CHECK_OK(watch(parts_.net->process().pidfd(), [this] {
            auto status = parts_.net->process().try_wait().value_or(0);
            helper_ended(helper_message("slirp4netns", status, parts_.net->last_words()));
        }));
    }
    calls_.start(std::shared_ptr<GuestCalls>(shared_from_this(), &calls_));
    if (vsock_calls_) vsock_calls_->start(self);
    channel_.start(self);
    console_.start(self);
    qmp_.start(self);
    if (warm()) resume();
    return {};
}

void LiveSession::resume() {
    qmp_.execute(R"({"execute":"migrate-set-capabilities","arguments":{"capabilities":[)"
                 R"({"capability":"x-ignore-shared","state":true}]}})");
    qmp_.execute(fmt::format(R"({{"execute":"migrate-incoming","arguments":{{"uri":"fd:{}"}}}})", parts_.snapshot_fd));
    patience_.expires_after(kResumeLimit);
    patience_.async_wait(guarded(weak_from_this(), [this](asio::error_code stopped) {
        if (!stopped) die({DeathKind::qemu_exited, "QEMU did not resume the snapshot"});
    }));
}

void LiveSession::resumed() {
    if (!warm() || channel_.phase() != Phase::awaiting_hello) return;
    patience_.cancel();
    channel_.restored();
    heard_at_ = host_.clock.monotonic();
    watch_silence();
    observer_.on_hello();
}

/// Calls the handler once, when `fd` becomes readable. The descriptor is watched through a copy, since Asio closes its.
template <class Handler>
Result<> LiveSession::watch(int fd, Handler handler) {
    VMETTE_TRY(Fd copy, duplicate(fd));
    auto& watch = *watches_.emplace_back(std::make_unique<Watch>(io_));
    asio::error_code failed;
    watch.assign(copy.get(), failed);
    if (failed) return fail(ErrorCode::io, "watch a descriptor: {}", failed.message());
    (void)copy.release();
    await(watch, handler);
    return {};
}

template <class Handler>
void LiveSession::await(Watch& watch, Handler handler) {
    watch.async_wait(Watch::wait_read, guarded(weak_from_this(), [this, &watch, handler](asio::error_code stopped) {
                         if (stopped || over_) return;
                         if (!is_readable(watch.native_handle())) return await(watch, handler);
                         handler();
                     }));
}

void LiveSession::setup(const GuestSetup& setup) {
    if (over_) return;
    setup_ = setup;
    if (!parts_.net || network_up_) send_setup();
}

void LiveSession::send_setup() {
    SetupFacts facts;
    facts.now = host_.clock.now();
    facts.entropy = fresh_entropy();
    if (!parts_.shares.empty()) facts.transport = parts_.shares.front().transport;
    facts.restored = warm();
    facts.call_port = parts_.call_port;
    facts.net = parts_.net ? &parts_.net->settings() : nullptr;
    auto sent = channel_.setup(compose_setup(spec_, *setup_, facts));
    setup_.reset();
    if (!sent) refuse(sent.error());
}

void LiveSession::exec(const GuestCommand& command) {
    if (over_) return;
    if (auto sent = channel_.exec(compose_exec(command)); !sent) refuse(sent.error());
}

/// What the wire does not take fails as if the guest had refused it, and never from inside the caller's call.
void LiveSession::refuse(const Error& error) {
    asio::post(io_, guarded(weak_from_this(), [this, message = error.text()] {
                   if (!over_) observer_.on_guest_failure({GuestFailureKind::setup, message});
               }));
}

void LiveSession::finish(const ArtifactRequest& artifacts) {
    if (over_) return;
    if (auto sent = channel_.finish(artifacts); !sent) refuse(sent.error());
}

void LiveSession::skip_artifacts() {
    if (!over_) channel_.enough();
}

std::vector<RefusedTarget> LiveSession::refused_traffic() {
    std::vector<RefusedTarget> out;
    if (!parts_.net || !network_up_) return out;
    auto denied = parts_.net->denied();
    if (!denied) {
        log(LogLevel::info, "what the network refused is not known: {}", denied.error().text());
        return out;
    }
    for (auto& target : denied->targets) out.push_back({std::move(target.host), target.port, target.packets});
    return out;
}

std::vector<std::string> LiveSession::pull() {
    stop_listening();
    return parts_.release();
}

void LiveSession::stop_listening() {
    over_ = true;
    channel_.close();
    sides_.close();
    calls_.close();
    if (vsock_calls_) vsock_calls_->close();
    console_.close();
    qmp_.close();
    for (auto& watch : watches_) {
        asio::error_code ignored;
        watch->close(ignored);
    }
    silence_timer_.cancel();
    patience_.cancel();
}

void LiveSession::die(const Death& death) {
    if (over_) return;
    // What does not get a guest ready is not kept for the next.
    if (warm() && channel_.phase() < Phase::ready) distrust_snapshot(parts_.snapshot);
    stop_listening();
    observer_.on_death(death);
}

void LiveSession::die_unless_qemu_did(Death death, Duration patience) {
    // The first of several signs is nearest to the cause.
    if (std::exchange(dying_, true)) return;
    patience_.expires_after(patience);
    patience_.async_wait(guarded(weak_from_this(), [this, death = std::move(death)](asio::error_code stopped) {
        if (!stopped) die(death);
    }));
}

void LiveSession::qemu_ended() {
    traces_.qemu_status = parts_.qemu.try_wait().value_or(0);
    // What it passed on before its end comes first: the command may have exited, the kernel may have panicked.
    qmp_.drain();
    console_.drain();
    channel_.drain();
    if (over_) return;
    for (auto& share : parts_.shares) {
        auto status = share.server ? share.server->process().try_wait() : std::nullopt;
        if (!status || ended_well(*status) || !traces_.helper_failure.empty()) continue;
        traces_.helper_failure = helper_message("virtiofsd of share " + share.tag, *status, share.server->last_words());
    }
    traces_.qemu_said = parts_.qemu_words.take();
    traces_.panic_line = find_panic(console_.tail());
    if (auto whole = channel_.whole(); !whole) traces_.cut_frame = whole.error().message;
    die(explain(traces_));
}

void LiveSession::helper_ended(std::string message) {
    traces_.helper_failure = message;
    die_unless_qemu_did({DeathKind::helper_died, std::move(message)}, kHelperPatience);
}

void LiveSession::network_answered() {
    if (auto joined = parts_.net->joined(); !joined) return die({DeathKind::helper_died, joined.error().text()});
    network_up_ = true;
    if (setup_) send_setup();
}

void LiveSession::on_qmp(const QmpEvent& event) {
    switch (event.kind) {
        case QmpEventKind::shutdown:
            traces_.shutdown_reason = event.detail;
            break;
        case QmpEventKind::guest_panicked:
            traces_.panic_event = true;
            break;
        case QmpEventKind::block_io_error:
            // The guest sees the error too, and may cause it as often as it likes: once is enough here.
            if (!std::exchange(io_error_told_, true)) log(LogLevel::warn, "the host failed disk {}", event.detail);
            break;
        case QmpEventKind::resume:
            return resumed();
        case QmpEventKind::refused:
            log(LogLevel::warn, "QEMU refused a command: {}", event.detail);
            break;
        case QmpEventKind::migration:
            break;
        case QmpEventKind::stop:
            log(LogLevel::debug, "QEMU stopped the guest");
            break;
    }
}

void LiveSession::heard() {
    heard_at_ = host_.clock.monotonic();
    if (!std::exchange(silent_, false)) return;
    watch_silence();
    observer_.on_silence(false);
}

void LiveSession::watch_silence() {
    silence_timer_.expires_at(heard_at_ + (silent_ ? kSilenceLimit : kSilenceNotice));
    silence_timer_.async_wait(guarded(weak_from_this(), [this](asio::error_code stopped) {
        if (!stopped && !over_) silence_checked();
    }));
}

void LiveSession::silence_checked() {
    auto now = host_.clock.monotonic();
    if (now - silence_timer_.expiry() > kLateTimer) heard_at_ = now;
    auto silence = now - heard_at_;
    if (silence >= kSilenceLimit)
        return die({DeathKind::guest_silent, fmt::format("the guest has been silent for {} s", kSilenceLimit.count())});
    bool told = silence >= kSilenceNotice && !std::exchange(silent_, true);
    watch_silence();
    if (told) observer_.on_silence(true);
}

void LiveSession::hello(const wire::GuestHello& hello) {
    log(LogLevel::debug, "guest kernel {} said hello {} ms after its start", harmless_line(hello.kernel, 80),
        hello.uptime_us / 1000);
    watch_silence();
    observer_.on_hello();
}

void LiveSession::ready(const wire::Ready& ready) { observer_.on_ready(harmless_lines(ready.warnings)); }

void LiveSession::started() { observer_.on_started(); }

void LiveSession::output(Stream stream, std::string_view bytes) { observer_.on_output(stream, bytes); }

void LiveSession::exited(const wire::Exited& exited) {
    observer_.on_exited({exited.signaled, exited.code, exited.oom});
}

void LiveSession::failed(const wire::Failure& failure) {
    observer_.on_guest_failure({failure_kind(failure.kind), harmless_line(failure.message)});
}

void LiveSession::finished(const wire::Usage& usage) {
    GuestUsage out;
    out.cpu_us = usage.cpu_us;
    out.peak_memory_bytes = usage.peak_memory_bytes;
    out.scratch_bytes = usage.scratch_bytes;
    out.net_rx_bytes = usage.net_rx_bytes;
    out.net_tx_bytes = usage.net_tx_bytes;
    out.oom_kills = usage.oom_kills;
    out.warnings = harmless_lines(usage.warnings);
    observer_.on_finished(out);
}

void LiveSession::take_call(std::unique_ptr<GuestCall> call) {
    if (!over_) observer_.on_call(std::move(call));
}

void LiveSession::stdin_room() { observer_.on_stdin_room(); }

void LiveSession::channel_ended(const Result<>& cut) {
    std::string message = cut ? "QEMU closed the guest's channel" : cut.error().message;
    die_unless_qemu_did({DeathKind::protocol, std::move(message)}, kChannelPatience);
}

void LiveSession::channel_broken(const Error& error) { die({DeathKind::protocol, error.message}); }

}  // namespace vmette::vm
