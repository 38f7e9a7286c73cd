#pragma once
/// A small Internet inside network namespaces, for tests of what a guest reaches: the "host" is this very process,
/// moved into a namespace of its own in which every IPv4 address leads to local servers; the "guest" is another
/// namespace whose interface is joined to the tap that QEMU would have.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/fd.h"

namespace vmette::vm {

/// Moves the calling process, which must have one thread, into a new network namespace (and user namespace, when not
/// root) where all of IPv4 is local and `own_address` belongs to an interface. Returns why that cannot be done here.
std::optional<std::string> become_host(const std::string& own_address);

/// Accepts TCP and echoes UDP on one port of every address of the current namespace. Throws when the port is taken.
class Servers {
public:
    explicit Servers(std::uint16_t port);
    ~Servers();

private:
    void serve();
    Fd tcp_, udp_, stop_read_, stop_write_;
    std::thread thread_;
};

/// The guest's end of a tap. Frames go both ways as long as it lives.
class FakeGuest {
public:
    /// `tap` is borrowed. Fails where no tap can be made.
    static Result<std::unique_ptr<FakeGuest>> start(int tap, const std::string& address, const std::string& gateway,
                                                    std::uint32_t prefix, std::uint32_t mtu);
    ~FakeGuest();

    /// "connected", or the error of connect(2) by its name (ECONNREFUSED); "timeout" after two seconds.
    std::string connect(const std::string& address, std::uint16_t port) const;
    /// "answered" when a datagram comes back, or the socket's error; "timeout" after a second.
    std::string ask(const std::string& address, std::uint16_t port) const;

private:
    FakeGuest() = default;
    void pump(int from, int to);
    Result<Fd> socket_inside(int type) const;
    Fd namespace_, tap_, stop_read_, stop_write_;
    int outer_tap_ = -1;
    std::thread inwards_, outwards_;
};

}  // namespace vmette::vm
