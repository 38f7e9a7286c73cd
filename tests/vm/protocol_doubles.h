#pragma once
/// What stands beside a GuestProtocol whose streams are looked at.

#include "base/clock.h"
#include "vm/guest_protocol.h"

namespace vmette::vm::testing {

/// Goes only when it is set.
class StillClock final : public Clock {
public:
    MonotonicTime at{};
    WallTime now() const override { return {}; }
    MonotonicTime monotonic() const override { return at; }
};

/// Of the run's own command, when others are looked at.
class IgnoredEvents final : public GuestEvents {
public:
    void heard() override {}
    void hello(const wire::GuestHello&) override {}
    void ready(const wire::Ready&) override {}
    void started() override {}
    void output(Stream, std::string_view) override {}
    void exited(const wire::Exited&) override {}
    void failed(const wire::Failure&) override {}
    void finished(const wire::Usage&) override {}
    void stdin_room() override {}
};

}  // namespace vmette::vm::testing
