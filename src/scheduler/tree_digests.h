#pragma once
/// The digests of the trees that a batch's jobs have in common, each read once.

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>

#include "base/clock.h"
#include "base/units.h"
#include "scheduler/tree_digest.h"

namespace vmette::scheduler {

/// Used by many threads at once. An answer is never older than the question: the tree is looked at anew each time (its
/// entries, not their content), and read again when anything in it was touched. Those who ask for one tree while
/// somebody looks at it share the next look.
class TreeDigests {
public:
    /// So many trees are read at once: reading is bound by the disk and by processors.
    static constexpr int kReaders = 4;
    /// A tree touched so short a time before it was read is read again when it is asked for next: a later change may
    /// bear the same time. Two seconds is the coarsest clock of a file system in use (FAT's).
    static constexpr Duration kClockGrain = std::chrono::seconds(2);
    /// Of all listings that are held at once, bytes; the digests stay.
    static constexpr std::size_t kMostListings = std::size_t{64} << 20;

    explicit TreeDigests(const Clock& clock) : clock_(clock) {}

    /// As digest_tree(); `io` too when it does not stand still.
    Result<TreeDigest> of(const std::filesystem::path& path, const Cancelled& cancelled = {});

    /// How many trees' content was read so far.
    std::uint64_t reads() const;

private:
    struct Tree {
        bool busy = false;         ///< somebody looks at it
        std::uint64_t looks = 0;   ///< begun
        std::uint64_t looked = 0;  ///< the last one that ended
        Result<TreeDigest> last;   ///< what it gave
        std::string stamp;         ///< of `known`; empty: none
        TreeDigest known;
        bool young = false;  ///< `stamp` may not tell the next change
    };

    Result<TreeDigest> look(const std::filesystem::path& path, Tree& tree, const Cancelled& cancelled);
    Result<TreeDigest> read(const std::filesystem::path& path, const Cancelled& cancelled);
    void hold(Tree& tree, std::string stamp, bool young, const TreeDigest& known);

    const Clock& clock_;
    std::counting_semaphore<kReaders> readers_{kReaders};
    mutable std::mutex mutex_;  ///< guards what follows; a tree that is busy is its looker's but for `looks`
    std::condition_variable looked_;
    std::map<std::filesystem::path, std::unique_ptr<Tree>> trees_;
    std::size_t listed_ = 0;  ///< bytes of listings held
    std::uint64_t reads_ = 0;
};

}  // namespace vmette::scheduler
