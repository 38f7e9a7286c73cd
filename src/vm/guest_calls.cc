#include "vm/guest_calls.h"

#include <utility>

#include "vm/guarded.h"

namespace vmette::vm {
namespace {

class Handle final : public GuestCall {
public:
    Handle(std::weak_ptr<GuestCalls> calls, std::uint16_t stream) : calls_(std::move(calls)), stream_(stream) {}
    ~Handle() override {
        if (auto calls = calls_.lock()) calls->hang_up(stream_);
    }
    void attend(CallObserver& observer) override {
        if (auto calls = calls_.lock()) calls->attend(stream_, observer);
    }
    void accept() override {
        if (auto calls = calls_.lock()) calls->accept(stream_);
    }
    std::size_t room() const override {
        auto calls = calls_.lock();
        return calls ? calls->room(stream_) : 0;
    }
    void send(std::string_view bytes) override {
        if (auto calls = calls_.lock()) calls->send(stream_, bytes);
    }
    void end() override {
        if (auto calls = calls_.lock()) calls->end(stream_);
    }
    void consumed(std::size_t bytes) override {
        if (auto calls = calls_.lock()) calls->consumed(stream_, bytes);
    }

private:
    std::weak_ptr<GuestCalls> calls_;
    std::uint16_t stream_;
};

}  // namespace

GuestCalls::GuestCalls(asio::io_context& io, const Clock& clock, Channel& channel, Arrival arrival)
    : clock_(clock),
      channel_(channel),
      arrival_(std::move(arrival)),
      turns_(kCallsAtOnce, kCallsPerSecond, clock.monotonic()),
      turn_timer_(io) {}

void GuestCalls::close() {
    entries_.clear();
    leaving_.clear();
    turn_timer_.cancel();
    self_.reset();
}

void GuestCalls::attend(std::uint16_t stream, CallObserver& observer) {
    if (auto found = entries_.find(stream); found != entries_.end()) found->second.observer = &observer;
}

void GuestCalls::accept(std::uint16_t stream) {
    if (entries_.contains(stream)) channel_.call_grant(stream, wire::kInitialCredit);
}

std::size_t GuestCalls::room(std::uint16_t stream) const {
    return entries_.contains(stream) ? channel_.call_room(stream) : 0;
}

void GuestCalls::send(std::uint16_t stream, std::string_view bytes) {
    if (entries_.contains(stream)) channel_.call_input(stream, bytes);
}

void GuestCalls::end(std::uint16_t stream) {
    auto found = entries_.find(stream);
    if (found == entries_.end() || std::exchange(found->second.closed, true)) return;
    channel_.call_input_end(stream);
}

void GuestCalls::consumed(std::uint16_t stream, std::size_t bytes) {
    auto found = entries_.find(stream);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    entry.in_hand -= bytes;
    entry.owed += bytes;
    if (entry.ended) return tell_if_taken(stream, entry);
    if (entry.owed >= kGrantStep) channel_.call_grant(stream, std::exchange(entry.owed, 0));
}

void GuestCalls::hang_up(std::uint16_t stream) {
    if (entries_.erase(stream) == 0) return;
    leaving_.push_back(stream);
    // Else the timer is on.
    if (leaving_.size() == 1) hang_up_more();
}

void GuestCalls::hang_up_more() {
    while (!leaving_.empty() && turns_.take(clock_.monotonic())) {
        channel_.call_hang_up(leaving_.front());
        leaving_.pop_front();
    }
    if (leaving_.empty()) return;
    turn_timer_.expires_after(turns_.wait());
    turn_timer_.async_wait(guarded(self_, [this](asio::error_code stopped) {
        if (!stopped) hang_up_more();
    }));
}

void GuestCalls::tell_if_taken(std::uint16_t stream, const Entry& entry) {
    if (entry.in_hand == 0) channel_.call_taken(stream);
}

CallObserver* GuestCalls::observer_of(std::uint16_t stream) {
    auto found = entries_.find(stream);
    return found == entries_.end() ? nullptr : found->second.observer;
}

void GuestCalls::call_opened(std::uint16_t stream) {
    entries_.emplace(stream, Entry{});
    arrival_(std::make_unique<Handle>(self_, stream));
}

void GuestCalls::call_bytes(std::uint16_t stream, std::string_view bytes) {
    auto found = entries_.find(stream);
    if (found == entries_.end()) return;
    found->second.in_hand += bytes.size();
    if (auto* observer = found->second.observer) observer->on_bytes(bytes);
}

void GuestCalls::call_ended(std::uint16_t stream) {
    auto found = entries_.find(stream);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    entry.ended = true;
    tell_if_taken(stream, entry);
    if (auto* observer = observer_of(stream)) observer->on_end();
}

void GuestCalls::call_room(std::uint16_t stream) {
    if (auto* observer = observer_of(stream)) observer->on_room();
}

void GuestCalls::call_gone(std::uint16_t stream) {
    CallObserver* observer = observer_of(stream);
    hang_up(stream);
    if (observer != nullptr) observer->on_gone();
}

}  // namespace vmette::vm
