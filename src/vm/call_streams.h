#pragma once
/// What the guest may say of its calls to the host: streams from wire::kFirstCallStream on. As hostile as the rest of
/// it (guest_protocol.h).

#include <cstdint>
#include <map>
#include <string_view>

#include "base/error.h"
#include "guest/protocol.h"

namespace vmette::vm {

class CallEvents {
public:
    virtual ~CallEvents() = default;
    virtual void call_opened(std::uint16_t stream) = 0;
    virtual void call_bytes(std::uint16_t stream, std::string_view bytes) = 0;
    /// No more bytes come of it.
    virtual void call_ended(std::uint16_t stream) = 0;
    /// There is room for more bytes to the program.
    virtual void call_room(std::uint16_t stream) = 0;
    /// The program's end is closed. The stream's number is free once the host has hung up.
    virtual void call_gone(std::uint16_t stream) = 0;
};

/// One thread. An event may call any function of this object but take().
class CallStreams {
public:
    /// Null: no call is taken.
    explicit CallStreams(CallEvents* events) : events_(events) {}

    /// Judges a frame by its header: its stream is kFirstCallStream or above.
    Result<> check(const wire::Header& header, std::string_view type_name) const;
    /// Requires that check() let it pass.
    Result<> take(const wire::Header& header, std::string_view payload);

    bool knows(std::uint16_t stream) const { return streams_.contains(stream); }
    std::size_t room(std::uint16_t stream) const;
    /// These require that the stream is known, and that hung_up() was not called for it.
    void sent(std::uint16_t stream, std::size_t bytes) { streams_.at(stream).room -= bytes; }
    void granted(std::uint16_t stream, std::size_t bytes) { streams_.at(stream).window += bytes; }
    /// What still comes of it is dropped.
    void hung_up(std::uint16_t stream);

private:
    struct State {
        std::size_t window = 0;  ///< bytes that the guest may send
        std::size_t room = wire::kInitialCredit;
        bool ended = false, gone = false, hung_up = false;
    };

    Result<> take_bytes(std::uint16_t stream, std::string_view payload);
    Result<> take_credit(std::uint16_t stream, std::string_view payload);
    void take_gone(std::uint16_t stream);

    CallEvents* events_;
    std::map<std::uint16_t, State> streams_;
};

}  // namespace vmette::vm
