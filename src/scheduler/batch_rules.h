#pragma once
/// What a batch's manifest says of the batch as a whole, as the queue keeps it, and what it means on this host.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "manifest/batch.h"
#include "scheduler/batch_plan.h"

namespace vmette::scheduler {

/// The rules as one line of JSON, and back. Errors: bad_input.
std::string to_json(const manifest::BatchRules& rules);
Result<manifest::BatchRules> rules_from_json(std::string_view text);

/// What a pool's bounds are counted from.
struct HostSize {
    std::uint64_t memory_mib = 0;
    std::uint32_t processors = 1;
    std::uint64_t descriptors = UINT64_MAX;  ///< that this process may have open
};
/// Raises this process' limit of descriptors as far as it may.
HostSize host_size();

/// The pool as room: what is not bound is kUnbounded's. Scratch is bound by the free disk, not by the pool.
Room pool_room(const manifest::Pool& pool, const HostSize& host);

/// How many machines a process with so many descriptors can drive, at least 1.
std::uint32_t machines_with(std::uint64_t descriptors);

/// What one machine takes: its memory and what QEMU needs beside it.
Room job_room(const manifest::Sandbox& sandbox);

/// MiB that QEMU takes beside the guest's memory: measured under TCG, most of it translated code.
constexpr std::uint64_t kMachineOverheadMib = 64;

}  // namespace vmette::scheduler
