#pragma once
/// One question to a container daemon (Docker's API, which Podman speaks too) over its Unix socket.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"

namespace vmette::rootfs {

struct DaemonRequest {
    std::string socket;  ///< its path
    std::string path;    ///< of the API, fit for a URL: "/images/python:3.12/get"
    std::uint64_t max_bytes = 0;
    std::chrono::seconds stall{0};  ///< without a byte, before which it is given up
    std::chrono::seconds total{0};
};

struct DaemonAnswer {
    long status = 0;
    std::string message;  ///< of a status other than 200: what the daemon says of it, harmless; often empty
};

/// GETs it; the body of an answer with status 200 goes to `output` (borrowed), from where that stands. Nothing is tried
/// again. Errors: `network` with a reason ("it sent nothing for 1 min"), `bad_image` for more than `max_bytes`,
/// `no_space`, `io`. `progress` hears bytes done and in all (0: unknown).
Result<DaemonAnswer> ask_daemon(const DaemonRequest& request, int output,
                                const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace vmette::rootfs
