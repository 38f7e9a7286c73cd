#include "scheduler/tree_digests.h"

#include "base/text.h"

namespace vmette::scheduler {
namespace {

/// How often a wait for others looks whether it is still wanted.
constexpr Duration kPoll{50};
/// A tree that changes while it is read is read so often.
constexpr int kTries = 3;

}  // namespace

Result<TreeDigest> TreeDigests::of(const std::filesystem::path& path, const Cancelled& cancelled) {
    std::unique_lock lock(mutex_);
    auto& place = trees_[path];
    if (!place) place = std::make_unique<Tree>();
    Tree& tree = *place;
    std::uint64_t enough = tree.looks + 1;  // what began before now may have missed what happened before now
    while (true) {
        bool answered = tree.looked >= enough;
        // Another job's end is not ours.
        if (answered && (tree.last || tree.last.error().code != ErrorCode::cancelled)) return tree.last;
        if (!tree.busy) break;
        if (cancelled && cancelled()) return fail(ErrorCode::cancelled, "interrupted");
        looked_.wait_for(lock, kPoll);
    }
    tree.busy = true;
    std::uint64_t number = ++tree.looks;
    lock.unlock();
    auto found = look(path, tree, cancelled);
    lock.lock();
    tree.last = found;
    if (tree.last) tree.last->listing = tree.known.listing;
    tree.looked = number;
    tree.busy = false;
    looked_.notify_all();
    return found;
}

Result<TreeDigest> TreeDigests::look(const std::filesystem::path& path, Tree& tree, const Cancelled& cancelled) {
    VMETTE_TRY(auto before, stamp_tree(path, cancelled));
    if (before.stamp == tree.stamp && !tree.young) return tree.known;
    for (int tried = 0; tried < kTries; ++tried) {
        auto began = clock_.now();
        VMETTE_TRY(auto found, read(path, cancelled));
        VMETTE_TRY(auto after, stamp_tree(path, cancelled));
        if (after.stamp == before.stamp) {
            hold(tree, after.stamp, after.newest_change + kClockGrain > began, found);
            return found;
        }
        before = std::move(after);
    }
    return fail(ErrorCode::io, "{} changed each time it was read", harmless_line(path.string()));
}

Result<TreeDigest> TreeDigests::read(const std::filesystem::path& path, const Cancelled& cancelled) {
    while (!readers_.try_acquire_for(kPoll))
        if (cancelled && cancelled()) return fail(ErrorCode::cancelled, "interrupted");
    auto found = digest_tree(path, cancelled);
    readers_.release();
    std::lock_guard lock(mutex_);
    ++reads_;
    return found;
}

void TreeDigests::hold(Tree& tree, std::string stamp, bool young, const TreeDigest& known) {
    std::lock_guard lock(mutex_);
    if (tree.known.listing) listed_ -= tree.known.listing->size();
    tree.stamp = std::move(stamp);
    tree.young = young;
    tree.known = known;
    if (!known.listing) return;
    if (listed_ + known.listing->size() > kMostListings) {
        tree.known.listing = nullptr;
        return;
    }
    listed_ += known.listing->size();
}

std::uint64_t TreeDigests::reads() const {
    std::lock_guard lock(mutex_);
    return reads_;
}

}  // namespace vmette::scheduler
