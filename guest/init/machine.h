#pragma once
/// The machine as a run wants it: what Setup says, done in order.

#include <string>
#include <vector>

#include "../protocol.h"
#include "cgroup.h"
#include "network.h"
#include "root.h"
#include "shares.h"
#include "support.h"

namespace vmette::guest {

struct Machine {
    CommandGroup group;
    NetworkCounters network;
    UpperUsage upper;
    std::vector<WrittenThrough> written;
    std::vector<std::string> warnings;
};

/// Arranges the machine and enters its root; a failure leaves it half done, fit for nothing but to be pulled.
Outcome<> arrange(const wire::Setup& setup, Machine& machine);

/// MemTotal, bytes.
std::uint64_t total_memory();
/// Of the machine, bytes that neither the kernel nor a file cache has taken.
std::uint64_t free_memory();

}  // namespace vmette::guest
