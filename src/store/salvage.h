#pragma once
/// What can be saved of a damaged history.

#include <cstdint>
#include <filesystem>

#include "base/clock.h"
#include "base/error.h"

namespace vmette::store {

struct Salvage {
    std::uint64_t runs = 0;        ///< that were read whole
    std::uint64_t other_rows = 0;  ///< of batches, images and all else
    std::uint64_t gaps = 0;     ///< places where pages could not be read; rows in them are gone, nobody knows how many
    std::uint64_t refused = 0;  ///< rows that were read and hold what no vmette writes, or belong to a row that is gone
    bool operator==(const Salvage&) const = default;
};

/// Copies every row that can be read of `damaged`, which is only read, into the history `target`, which is made and
/// must not be there. Words for `--grep` are indexed anew. When it returns `target` is on the disk, without a log.
/// Errors: `io` when not even the first page can be read, or the file is another program's; `unsupported` when a newer
/// vmette wrote it; `no_space`.
Result<Salvage> salvage(const std::filesystem::path& damaged, const std::filesystem::path& target, const Clock& clock);

/// The runs alone, counted in place: how many there are to save, and the gaps met.
Result<Salvage> count_salvageable(const std::filesystem::path& damaged);

}  // namespace vmette::store
