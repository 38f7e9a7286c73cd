#pragma once
/// What the guest may say of the commands that run beside the run's own: streams 2 and up of the wire. As hostile as
/// the rest of it (guest_protocol.h).

#include <cstdint>
#include <map>
#include <string_view>

#include "base/error.h"
#include "guest/protocol.h"
#include "vm/session.h"

namespace vmette::vm {

/// The first stream that is not the run's own command's.
constexpr std::uint16_t kFirstSideStream = 2;

class SideEvents {
public:
    virtual ~SideEvents() = default;
    virtual void side_started(std::uint16_t stream) = 0;
    virtual void side_output(std::uint16_t stream, Stream kind, std::string_view bytes) = 0;
    virtual void side_stdin_room(std::uint16_t stream) = 0;
    /// The last of its stream, whose number is free again.
    virtual void side_exited(std::uint16_t stream, const wire::Exited& exited) = 0;
    virtual void side_failed(std::uint16_t stream, const wire::Failure& failure) = 0;
};

/// An event may call any function of this object but take().
class SideStreams {
public:
    /// `events` may be null when open() is never called.
    explicit SideStreams(SideEvents* events) : events_(events) {}

    /// A number that is not in use. Requires that size() is below 30000.
    std::uint16_t open();
    std::size_t size() const { return streams_.size(); }
    bool is_open(std::uint16_t stream) const { return streams_.contains(stream); }
    std::size_t stdin_room(std::uint16_t stream) const;
    void sent_stdin(std::uint16_t stream, std::size_t bytes);
    void granted(std::uint16_t stream, Stream kind, std::size_t bytes);

    /// Whether a frame with this header may come now; judged before its payload is there.
    Result<> check(const wire::Header& header, std::string_view type_name) const;
    /// Requires that check() has passed.
    Result<> take(const wire::Header& header, std::string_view payload);

private:
    struct State {
        bool running = false;
        std::size_t window[2] = {wire::kInitialCredit, wire::kInitialCredit};
        std::size_t stdin_room = wire::kInitialCredit;
    };
    Result<> take_output(std::uint16_t stream, Stream kind, std::string_view payload);
    Result<> take_credit(std::uint16_t stream, std::string_view payload);

    SideEvents* events_;
    std::map<std::uint16_t, State> streams_;
    std::uint16_t next_ = kFirstSideStream;
};

}  // namespace vmette::vm
