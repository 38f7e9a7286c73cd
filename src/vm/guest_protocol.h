#pragma once
/// The host's side of the wire without the wire: what may come from the guest, when, and how much of it. Bytes go in,
/// checked events come out. The guest is hostile: the first thing out of order ends the conversation.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/token_bucket.h"
#include "guest/protocol.h"
#include "vm/artifact_reader.h"
#include "vm/call_streams.h"
#include "vm/session.h"
#include "vm/side_streams.h"

namespace vmette::vm {

/// The one command of a session has this stream.
constexpr std::uint16_t kCommandStream = 1;

/// Beats come four a second. A host that was stopped for a while finds them piled up in the buffers on the way, which
/// hold a few hundred frames; more than this at once is a flood.
constexpr double kBeatBurst = 1024;
constexpr double kBeatsPerSecond = 50;

class GuestEvents {
public:
    virtual ~GuestEvents() = default;
    /// Any whole frame, before its own event.
    virtual void heard() = 0;
    virtual void hello(const wire::GuestHello& hello) = 0;
    virtual void ready(const wire::Ready& ready) = 0;
    virtual void started() = 0;
    virtual void output(Stream stream, std::string_view bytes) = 0;
    virtual void exited(const wire::Exited& exited) = 0;
    virtual void failed(const wire::Failure& failure) = 0;
    virtual void finished(const wire::Usage& usage) = 0;
    /// Credit for stdin came.
    virtual void stdin_room() = 0;
};

/// What the guest may say between two of our requests. The order is that of a run.
enum class Phase { awaiting_hello, greeted, setting_up, ready, launching, running, exited };

/// Move-only by its references; one thread. An event may call any function of this object but feed().
class GuestProtocol {
public:
    /// `sides` may be null when no other command is ever opened, `calls` when no call is taken.
    GuestProtocol(const Clock& clock, GuestEvents& events, SideEvents* sides = nullptr, CallEvents* calls = nullptr)
        : clock_(clock), events_(events), sides_(sides), calls_(calls), beats_(kBeatBurst, kBeatsPerSecond, clock.monotonic()) {}

    /// Takes the next bytes. Fails with `protocol` and one line that names the offence; nothing may be fed after that.
    Result<> feed(std::string_view bytes);
    /// The guest's side was closed: fails when that cuts a frame.
    Result<> end() const;
    /// No event comes after this, though feed() is still running.
    void stop() { stopped_ = true; }

    /// The guest said hello before it was frozen.
    void restored() { phase_ = Phase::greeted; }
    void sent_setup() { phase_ = Phase::setting_up; }
    void sent_exec() { phase_ = Phase::launching; }
    void sent_finish(const ArtifactRequest& artifacts);
    /// What still comes of artifacts is dropped.
    void sent_enough() {
        if (artifacts_) artifacts_->stop();
    }
    void sent_stdin(std::size_t bytes) { stdin_room_ -= bytes; }
    void granted(Stream stream, std::size_t bytes) { window_[index(stream)] += bytes; }

    /// Bytes of artifacts that have been dealt with: to be granted again, now that they are asked for.
    std::size_t take_artifact_grant();

    SideStreams& sides() { return sides_; }
    const SideStreams& sides() const { return sides_; }
    CallStreams& calls() { return calls_; }
    const CallStreams& calls() const { return calls_; }
    Phase phase() const { return phase_; }
    std::size_t stdin_room() const { return stdin_room_; }

private:
    static std::size_t index(Stream stream) { return stream == Stream::out ? 0 : 1; }
    Result<std::size_t> take_frame(std::string_view bytes);
    Result<> check_header(const wire::Header& header) const;
    Result<> dispatch(const wire::Header& header, std::string_view payload);
    Result<> take_hello(std::string_view payload);
    Result<> take_output(Stream stream, std::string_view payload);
    Result<> take_artifacts(std::string_view payload);
    Result<> take_finished(std::string_view payload);
    Result<> take_credit(std::string_view payload);
    Result<> take_beat();

    const Clock& clock_;
    GuestEvents& events_;
    SideStreams sides_;  ///< what does not belong to the run's own command
    CallStreams calls_;
    std::string pending_;  ///< the start of a frame that is not whole yet
    Phase phase_ = Phase::awaiting_hello;
    bool failed_ = false, finishing_ = false, stopped_ = false;
    ArtifactSink* sink_ = nullptr;
    std::optional<ArtifactReader> artifacts_;
    std::size_t artifact_window_ = wire::kInitialCredit;
    std::size_t window_[2] = {wire::kInitialCredit, wire::kInitialCredit};
    std::size_t stdin_room_ = wire::kInitialCredit;
    TokenBucket beats_;
};

}  // namespace vmette::vm
