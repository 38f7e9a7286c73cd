#pragma once
/// All calls of the guest's programs.

#include <memory>
#include <vector>

#include "call.h"

namespace vmette::guest {

class Calls {
public:
    Calls(Loop& loop, Channel& channel) : loop_(loop), channel_(channel) {}
    Calls(const Calls&) = delete;
    Calls& operator=(const Calls&) = delete;

    /// Programs can call from now on. 0: they cannot.
    Outcome<> open(std::uint32_t port);
    /// A frame for a call's stream; false when the host may not send it.
    bool take(wire::Header header, std::string_view payload);
    /// The channel takes bulk data again.
    void on_room();
    /// Some time has passed (wire::kBeatMilliseconds).
    void on_beat() { update(); }
    /// The session ends: no more calls, and those that are there are dropped.
    void close();

private:
    void on_caller();
    /// Lets go of calls that are over, and accepts more where there is room for them.
    void update();
    std::uint16_t free_stream();
    Call* find(std::uint16_t stream);

    Loop& loop_;
    Channel& channel_;
    Fd listener_;
    bool listening_ = false;
    std::vector<std::unique_ptr<Call>> calls_;
    std::uint16_t next_ = wire::kFirstCallStream;
    On<Calls, &Calls::on_caller> watcher_{*this};
};

}  // namespace vmette::guest
