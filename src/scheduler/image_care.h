#pragma once
/// The image cache kept in bounds and sound: what `vmette image rm`, `prune` and `verify` do, and what happens by
/// itself.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/layout.h"
#include "store/store.h"

namespace vmette::scheduler {

/// What is to go: whatever one of these says.
struct PrunePolicy {
    bool all = false;                             ///< every image that is not in use
    std::optional<std::chrono::seconds> max_age;  ///< images whose last use is longer ago
    std::optional<std::uint64_t> max_bytes;       ///< the least recently used ones, until the rest is no larger
};

/// A file of the cache that belongs to no image: what a crash or a break left.
struct StrayFile {
    std::string_view what;  ///< "unknown image", "layer of an unfinished pull", "unfinished download"
    std::filesystem::path path;
    std::uint64_t bytes = 0;
};

struct Pruned {
    std::vector<store::StoredImage> removed;
    std::vector<store::StoredImage> in_use;  ///< would have gone, but a run has them
    std::vector<StrayFile> strays;           ///< also removed
    std::uint64_t bytes = 0;                 ///< of all that was removed
};

/// Removes what the policy names, and what crashes left behind. With `dry_run` nothing is removed and the answer is
/// what would be. What a live run holds always stays.
Result<Pruned> prune_images(const Layout& layout, store::Store& store, const Clock& clock, const PrunePolicy& policy,
                            bool dry_run);

/// The runs that have the image now, as far as the history knows; newest first.
Result<std::vector<store::RunRecord>> runs_holding(store::Store& store, const std::string& digest);

/// Removes one image. `busy` names the runs that have it.
Result<> remove_cached_image(const Layout& layout, store::Store& store, const std::string& digest);

enum class ImageHealth { sound, missing, damaged };
/// Reads the whole image and compares its SHA-256 with its name. Whatever is not sound is forgotten, and its file
/// removed unless a run has it: the next use makes it again.
Result<ImageHealth> verify_image(const Layout& layout, store::Store& store, const store::StoredImage& image);

}  // namespace vmette::scheduler
