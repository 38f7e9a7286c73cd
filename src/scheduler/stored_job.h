#pragma once
/// A job of the queue as the sandbox that it was made from.

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "manifest/sandbox.h"
#include "store/batches.h"

namespace vmette::scheduler {

/// Reads a job's stored manifest. What it names on the host was checked when the batch was made, and fails the run if
/// it is not there any more. Errors: the queue's, and `internal` for a manifest that cannot be read.
Result<manifest::Sandbox> stored_sandbox(store::Batches& batches, std::string_view batch_id, std::uint32_t job);

}  // namespace vmette::scheduler
