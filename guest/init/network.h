#pragma once
/// The guest's network by configuration: no DHCP, nobody waited for.

#include "../protocol.h"
#include "support.h"

namespace vmette::guest {

/// Brings the loopback up and, when there is a network, the first other interface (or the one with the given MAC) with
/// its address and default route. Requires /sys of the initramfs.
Outcome<> configure_network(const wire::Network& network);

/// Counters of that interface; they keep their place in sysfs whatever the guest mounts over it.
class NetworkCounters {
public:
    void begin();
    std::uint64_t received() const;
    std::uint64_t sent() const;

private:
    Fd statistics_;
};

}  // namespace vmette::guest
