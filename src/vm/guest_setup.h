#pragma once
/// What the guest is told, composed from what was made for it.

#include <string>
#include <vector>

#include "base/clock.h"
#include "guest/protocol.h"
#include "vm/net.h"
#include "vm/session.h"
#include "vm/shares.h"
#include "vm/spec.h"

namespace vmette::vm {

/// What only the running session knows.
struct SetupFacts {
    WallTime now{};
    std::string entropy;
    ShareTransport transport{};        ///< of all shares
    const NetSettings* net = nullptr;  ///< borrowed; null: no network
    bool restored = false;             ///< the guest comes from a snapshot
    std::uint32_t call_port = 0;       ///< 0: programs cannot call the host
};

/// Bytes of fresh randomness for the guest's pool: twice what its generator's key takes.
constexpr std::size_t kEntropyBytes = 64;
std::string fresh_entropy();

/// Kept back from the command's cgroup, of what is free when the command starts, so that PID 1 and the kernel live on
/// when the command takes all it may: a thirty-second of the memory, but 8 MiB to 256 MiB.
std::uint64_t memory_reserve(std::uint64_t memory_bytes);

wire::Setup compose_setup(const VmSpec& spec, const GuestSetup& setup, const SetupFacts& facts);
GuestFailureKind failure_kind(std::uint8_t kind);
wire::Exec compose_exec(const GuestCommand& command);

}  // namespace vmette::vm
