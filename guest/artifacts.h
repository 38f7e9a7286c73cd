#pragma once
/// Artifacts on the wire. The `artifacts` frames of protocol.h carry one stream of bytes, cut anywhere; in it follow
/// one another records of
///
///     u8 ArtifactRecord | u32 payload length
///
/// and their payload: for each file `file`, then `data` until all its bytes are there, then `end`; last of all one
/// `report`. The guest searches, the host judges: every bound below is kept by the one and checked by the other.

#include <algorithm>

#include "protocol.h"

namespace vmette::wire {

/// Patterns of one run; a manifest that has more is refused.
constexpr std::size_t kMaxArtifactGlobs = 64;
constexpr std::uint32_t kMaxArtifactFiles = 20'000;
/// Bytes and parts of one path; bytes of all paths together, which the host keeps in memory and in its database.
constexpr std::size_t kMaxArtifactPath = 2048;
constexpr std::size_t kMaxArtifactDepth = 64;
constexpr std::size_t kMaxArtifactNames = std::size_t{4} << 20;
/// Names in folders that the guest looks at; then it gives up.
constexpr std::uint64_t kMaxArtifactSearch = 250'000;

constexpr std::size_t kArtifactHeaderSize = 5;
enum class ArtifactRecord : std::uint8_t { file = 1, data = 2, end = 3, report = 4 };

struct ArtifactFile {
    std::uint32_t entry = 0;  ///< the first pattern of the manifest that the path matches
    std::string path;         ///< from the guest's root, without a leading slash
    std::uint64_t bytes = 0;
    template <class C>
    void fields(C& c) {
        c(entry), c(path), c(bytes);
    }
};

struct ArtifactEnd {
    std::string problem;  ///< why the file is not whole; empty: it is
    template <class C>
    void fields(C& c) {
        c(problem);
    }
};

/// Something that was not copied: how often, and one example of it.
struct ArtifactLoss {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;  ///< where that is known
    std::string example;
    template <class C>
    void fields(C& c) {
        c(files), c(bytes), c(example);
    }
};

struct ArtifactReport {
    std::vector<std::uint64_t> matched;  ///< for each pattern, files that were sent
    std::vector<ArtifactLoss>
        beyond;               ///< for each pattern, files that its `max`, or the run's bounds, left no room for
    ArtifactLoss irregular;   ///< symlinks that matched or lay in the way, devices, FIFOs, sockets
    ArtifactLoss unnamable;   ///< paths that artifact_path_problem() refuses
    ArtifactLoss unreadable;  ///< files and folders that could not be opened or read
    bool gave_up = false;     ///< there was more to search than kMaxArtifactSearch
    template <class C>
    void fields(C& c) {
        c(matched), c(beyond), c(irregular), c(unnamable), c(unreadable), c(gave_up);
    }
};

/// Largest payload of each kind of record: nothing larger is ever buffered.
constexpr std::size_t max_artifact_payload(ArtifactRecord record) {
    switch (record) {
        case ArtifactRecord::file:
            return kMaxArtifactPath + 16;
        case ArtifactRecord::data:
            return kMaxChunk;
        case ArtifactRecord::end:
            return 4096;
        case ArtifactRecord::report:
            // Counts for each pattern, and examples of at most one path each.
            return (kMaxArtifactGlobs + 3) * (kMaxArtifactPath + 32);
    }
    return 0;
}

namespace detail {

/// Well-formed UTF-8 without control characters (C0, DEL, C1).
inline bool is_printable(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto byte = [&](std::size_t k) -> std::uint32_t {
            return k < text.size() ? static_cast<std::uint8_t>(text[k]) : 0U;
        };
        const std::uint32_t first = byte(i);
        const std::size_t more = first < 0x80       ? 0
                                 : first >> 5 == 6  ? 1
                                 : first >> 4 == 14 ? 2
                                 : first >> 3 == 30 ? 3
                                                    : 9;
        if (more == 9) return false;
        std::uint32_t point = more == 0 ? first : first & (0x3FU >> more);
        for (std::size_t k = 1; k <= more; ++k) {
            if (byte(i + k) >> 6 != 2) return false;
            point = point << 6 | (byte(i + k) & 0x3FU);
        }
        constexpr std::uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
        const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
        const bool control = point < 0x20 || (point >= 0x7F && point < 0xA0);
        if (point < kSmallest[more] || point > 0x10FFFF || surrogate || control) return false;
        i += more + 1;
    }
    return true;
}

}  // namespace detail

/// Why no artifact may have this path (from the root, without a leading slash); empty when it may.
inline std::string_view artifact_path_problem(std::string_view path) {
    if (path.size() > kMaxArtifactPath) return "is too long";
    if (!detail::is_printable(path)) return "is not printable UTF-8";
    std::size_t depth = 0;
    for (std::string_view rest = path;;) {
        const std::size_t end = std::min(rest.find('/'), rest.size());
        const std::string_view part = rest.substr(0, end);
        if (part.empty() || part == "." || part == "..") return "is not a plain path";
        if (part.size() > 255) return "is too long";
        if (++depth > kMaxArtifactDepth) return "is too deep";
        if (end == rest.size()) return {};
        rest.remove_prefix(end + 1);
    }
}

/// A record's header and payload. Requires a payload that max_artifact_payload() takes.
inline void append_artifact_record(std::string& out, ArtifactRecord record, std::string_view payload) {
    Writer header;
    header.u8(static_cast<std::uint8_t>(record));
    header.u32(static_cast<std::uint32_t>(payload.size()));
    out.append(header.bytes());
    out.append(payload);
}

}  // namespace vmette::wire
