#include "scheduler/rank_set.h"

#include <bit>

namespace vmette::scheduler {
namespace {

constexpr std::uint32_t kShift = 6;  // 64 bits a word
constexpr std::uint32_t kMask = 63;

std::uint64_t bit(std::uint32_t index) { return std::uint64_t{1} << (index & kMask); }

}  // namespace

RankSet::RankSet(std::uint32_t size) {
    std::size_t words = size;
    do {
        words = (words + kMask) >> kShift;
        levels_.emplace_back(words, 0);
    } while (words > 1);
}

void RankSet::insert(std::uint32_t rank) {
    for (auto& level : levels_) {
        level[rank >> kShift] |= bit(rank);
        rank >>= kShift;
    }
}

void RankSet::erase(std::uint32_t rank) {
    for (auto& level : levels_) {
        auto& word = level[rank >> kShift];
        word &= ~bit(rank);
        if (word != 0) return;
        rank >>= kShift;
    }
}

bool RankSet::contains(std::uint32_t rank) const {
    const auto& members = levels_.front();
    return (rank >> kShift) < members.size() && (members[rank >> kShift] & bit(rank)) != 0;
}

std::optional<std::uint32_t> RankSet::next(std::uint32_t from) const {
    // Up until a word holds something at or behind the place, then down along the first bits.
    for (std::size_t height = 0; height < levels_.size(); ++height) {
        const auto& level = levels_[height];
        std::uint32_t index = from >> kShift;
        if (index >= level.size()) return std::nullopt;
        std::uint64_t word = level[index] & (~std::uint64_t{0} << (from & kMask));
        if (word != 0) {
            auto found = (index << kShift) + static_cast<std::uint32_t>(std::countr_zero(word));
            while (height-- > 0)
                found = (found << kShift) + static_cast<std::uint32_t>(std::countr_zero(levels_[height][found]));
            return found;
        }
        from = index + 1;
    }
    return std::nullopt;
}

}  // namespace vmette::scheduler
