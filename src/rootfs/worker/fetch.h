#pragma once
/// One download into a file that survives a break. The only user of libcurl.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"

namespace vmette::rootfs {

struct FetchRequest {
    std::string url;  ///< http or https
    std::uint64_t max_bytes = 0;
    std::chrono::seconds stall{0};
    std::chrono::seconds total{0};
    std::string ca_certs;   ///< extra certificates: a PEM file, or a folder of them; empty: none
    std::string validator;  ///< when not empty: nothing is fetched if the far side still has this version
};

struct FetchResult {
    bool unchanged = false;
    std::string validator;  ///< of what was fetched; empty when the far side names none
    std::uint64_t bytes = 0;
};

/// Fetches into `part`, going on where an earlier fetch broke off when `state` (a small file beside it) says of which
/// version those bytes are and the far side still has it. Both descriptors are borrowed. Redirects are followed at most
/// ten times, within http and https and never back from https. Broken transfers and answers that may pass (408, 429,
/// 5xx) are tried again, with pauses. Errors: `network`, `no_space`, `io`, with a predicate for a message ("answered
/// 404"). `progress` hears bytes done and in all (0: unknown), `on_retry` a line, such a predicate too, of each try
/// that failed and is repeated.
Result<FetchResult> fetch(const FetchRequest& request, int part, int state,
                          const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                          const std::function<void(const std::string&)>& on_retry);

}  // namespace vmette::rootfs
