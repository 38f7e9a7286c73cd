#include "vm/side_commands.h"

#include <chrono>
#include <csignal>
#include <utility>

#include "base/text.h"
#include "vm/guarded.h"
#include "vm/guest_setup.h"

namespace vmette::vm {
namespace {

/// Half of what the guest takes (guest/init/session.h): those that are hung up on take a while to go.
constexpr std::size_t kMaxSideCommands = 32;
/// From the hang-up to the kill.
constexpr std::chrono::seconds kHangUpGrace{2};

std::size_t index(Stream kind) { return kind == Stream::out ? 0 : 1; }

}  // namespace

Result<std::uint16_t> SideCommands::open(const GuestCommand& command, SideObserver& observer,
                                         std::weak_ptr<void> owner) {
    if (entries_.size() >= kMaxSideCommands)
        return fail(ErrorCode::busy, "{} commands run in the guest beside its own, which is as many as it takes",
                    entries_.size());
    owner_ = std::move(owner);
    VMETTE_TRY(std::uint16_t stream, channel_.open_side(compose_exec(command)));
    entries_[stream].observer = &observer;
    return stream;
}

void SideCommands::abandon(std::uint16_t stream) {
    auto found = entries_.find(stream);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    entry.observer = nullptr;
    channel_.side_input_end(stream);
    signal(stream, SIGHUP);
    // What is stopped gets the hang-up only when it goes on.
    signal(stream, SIGCONT);
    // Nobody deals any more with what the observer held; the guest could not send the rest, nor the end.
    for (Stream kind : {Stream::out, Stream::err}) consumed(stream, kind, entry.held[index(kind)]);
    entry.kill_timer = std::make_unique<asio::steady_timer>(io_, kHangUpGrace);
    entry.kill_timer->async_wait(guarded(owner_, [this, stream](asio::error_code stopped) {
        if (!stopped) signal(stream, SIGKILL);
    }));
}

void SideCommands::close() { entries_.clear(); }

std::size_t SideCommands::stdin_room(std::uint16_t stream) const {
    return entries_.contains(stream) ? channel_.side_stdin_room(stream) : 0;
}

void SideCommands::send_stdin(std::uint16_t stream, std::string_view bytes) {
    if (entries_.contains(stream)) channel_.side_input(stream, bytes);
}

void SideCommands::close_stdin(std::uint16_t stream) {
    if (entries_.contains(stream)) channel_.side_input_end(stream);
}

void SideCommands::signal(std::uint16_t stream, int number) {
    if (entries_.contains(stream)) channel_.side_signal(stream, static_cast<std::uint32_t>(number));
}

void SideCommands::resize(std::uint16_t stream, std::uint32_t columns, std::uint32_t rows) {
    if (entries_.contains(stream)) channel_.side_resize(stream, {columns, rows});
}

void SideCommands::consumed(std::uint16_t stream, Stream kind, std::size_t bytes) {
    auto found = entries_.find(stream);
    if (found == entries_.end()) return;
    found->second.held[index(kind)] -= bytes;
    std::size_t& owed = found->second.owed[index(kind)];
    owed += bytes;
    if (owed < kGrantStep) return;
    channel_.side_grant(stream, kind, std::exchange(owed, 0));
}

SideObserver* SideCommands::observer_of(std::uint16_t stream) {
    auto found = entries_.find(stream);
    return found == entries_.end() ? nullptr : found->second.observer;
}

SideObserver* SideCommands::finish(std::uint16_t stream) {
    auto entry = entries_.extract(stream);
    return entry.empty() ? nullptr : entry.mapped().observer;
}

void SideCommands::side_started(std::uint16_t stream) {
    if (auto* observer = observer_of(stream)) observer->on_started();
}

void SideCommands::side_output(std::uint16_t stream, Stream kind, std::string_view bytes) {
    auto found = entries_.find(stream);
    if (found == entries_.end()) return;
    found->second.held[index(kind)] += bytes.size();
    if (found->second.observer != nullptr) return found->second.observer->on_output(kind, bytes);
    consumed(stream, kind, bytes.size());
}

void SideCommands::side_stdin_room(std::uint16_t stream) {
    if (auto* observer = observer_of(stream)) observer->on_stdin_room();
}

void SideCommands::side_exited(std::uint16_t stream, const wire::Exited& exited) {
    if (auto* observer = finish(stream)) observer->on_exited({exited.signaled, exited.code, exited.oom});
}

void SideCommands::side_failed(std::uint16_t stream, const wire::Failure& failure) {
    if (auto* observer = finish(stream))
        observer->on_failure({failure_kind(failure.kind), harmless_line(failure.message)});
}

}  // namespace vmette::vm
