#pragma once
/// The one virtio-serial port that leads to the host.

#include "support.h"

namespace vmette::guest {

/// Opens the port named wire::kPortName. Ports register by and by after their device is there: the kernel's events are
/// waited for, for at most `limit_ms`; 0 looks once.
Outcome<Fd> open_port(int limit_ms);

}  // namespace vmette::guest
