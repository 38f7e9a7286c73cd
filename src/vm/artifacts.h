#pragma once
/// What is asked of a guest's files at the end, and what comes of it.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace vmette::vm {

struct ArtifactWish {
    std::string glob;             ///< an absolute path or pattern in the guest (guest/glob.h)
    std::uint64_t max_bytes = 0;  ///< of all its files together
    bool operator==(const ArtifactWish&) const = default;
};

/// What the guest says it did not send. The texts are harmless, one line each.
struct ArtifactLoss {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::string example;
};

struct ArtifactSummary {
    std::vector<std::uint64_t> matched;  ///< files, for each wish
    std::vector<ArtifactLoss> beyond;    ///< for each wish: no room for them
    ArtifactLoss irregular;              ///< symlinks, devices, FIFOs, sockets
    ArtifactLoss unnamable;              ///< too long, too deep or not printable UTF-8
    ArtifactLoss unreadable;
    bool gave_up = false;  ///< the search ended before it was over
};

/// Takes files as they come, in order, one at a time. Called on the session's thread, never from inside a call into the
/// session. A failure of the host's own is the sink's to keep: what it returns is held against the guest.
class ArtifactSink {
public:
    virtual ~ArtifactSink() = default;
    /// A file begins. `path` has plain, printable parts, without a leading slash, and matches a wish, whose max it
    /// keeps. Fails with `protocol` when no honest guest can have such a file now.
    virtual Result<> begin(std::string_view path, std::uint64_t bytes) = 0;
    /// Together exactly the bytes of the file, unless it is abandoned.
    virtual void data(std::string_view bytes) = 0;
    /// The file is whole.
    virtual void end() = 0;
    /// The guest could not read it to its end, and says why (harmless).
    virtual void abandon(std::string_view problem) = 0;
    /// Everything has come.
    virtual void report(const ArtifactSummary& summary) = 0;
    /// The guest finished without a report.
    virtual void cut() = 0;
};

/// Empty: none.
struct ArtifactRequest {
    std::vector<ArtifactWish> wishes;
    ArtifactSink* sink = nullptr;  ///< borrowed; outlives the session, or skip_artifacts()
};

}  // namespace vmette::vm
