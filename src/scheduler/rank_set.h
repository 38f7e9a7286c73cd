#pragma once
/// A set of small numbers that finds its least member in a constant number of steps, whatever it holds.

#include <cstdint>
#include <optional>
#include <vector>

namespace vmette::scheduler {

/// A tree of bitmaps, 64 ways wide: a bit of a level says whether the word below it holds anything. 1.02 bits a number;
/// four levels hold 16 million.
class RankSet {
public:
    /// Holds numbers below `size`.
    explicit RankSet(std::uint32_t size = 0);
    void insert(std::uint32_t rank);
    void erase(std::uint32_t rank);
    bool contains(std::uint32_t rank) const;
    /// The least member that is `from` or more.
    std::optional<std::uint32_t> next(std::uint32_t from = 0) const;
    bool empty() const { return !next(); }

private:
    std::vector<std::vector<std::uint64_t>> levels_;  ///< [0]: the members; each above: which words below are not 0
};

}  // namespace vmette::scheduler
