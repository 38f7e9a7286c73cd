#include "scheduler/calls/desk.h"

#include <utility>

namespace vmette::scheduler::calls {

Desk::~Desk() {
    for (const auto& link : waiting_) link->drop();
    for (const auto& link : joined_) link->drop();
}

void Desk::take(std::unique_ptr<vm::GuestCall> call) {
    if (leaving_) return;
    // Handlers of a link may run after it was dropped, and hold nothing of the desk then.
    auto self = std::make_shared<std::weak_ptr<Link>>();
    auto link = std::make_shared<Link>(io_, std::move(call), [this, self] { forget(*self); });
    *self = link;
    waiting_.push_back(std::move(link));
    serve();
}

bool Desk::anybody_waits() {
    while (!waiting_.empty() && waiting_.front()->is_over()) waiting_.pop_front();
    return !waiting_.empty();
}

std::shared_ptr<Link> Desk::next_caller() {
    auto link = std::move(waiting_.front());
    waiting_.pop_front();
    joined_.insert(link);
    return link;
}

void Desk::forget(const std::weak_ptr<Link>& link) {
    auto over = link.lock();
    std::erase(waiting_, over);
    joined_.erase(over);
    if (!leaving_) return serve();
    finish_if_done();
}

void Desk::leave(std::function<void()> done) {
    leaving_ = true;
    done_ = std::move(done);
    stop_serving();
    for (const auto& link : std::exchange(waiting_, {})) link->drop();
    for (const auto& link : std::set(joined_)) link->guest_gone();
    farewell_timer_.expires_after(farewell_);
    farewell_timer_.async_wait([this](asio::error_code stopped) {
        if (stopped || !done_) return;
        give_up();
        std::exchange(done_, nullptr)();
    });
    finish_if_done();
}

void Desk::finish_if_done() {
    if (!leaving_ || !done_ || !joined_.empty() || !is_idle()) return;
    farewell_timer_.cancel();
    std::exchange(done_, nullptr)();
}

}  // namespace vmette::scheduler::calls
