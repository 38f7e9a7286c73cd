#include "scheduler/rank_set.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace vmette::scheduler {
namespace {

TEST(RankSetTest, EmptySetsHoldNothing) {
    for (std::uint32_t size : {0U, 1U, 64U, 65U, 5000U}) EXPECT_EQ(RankSet(size).next(), std::nullopt) << size;
}

TEST(RankSetTest, BehavesAsAnOrderedSet) {
    for (std::uint32_t size : {1U, 63U, 64U, 65U, 4096U, 4097U, 300'000U}) {
        std::mt19937 random(size);
        RankSet ours(size);
        std::set<std::uint32_t> theirs;
        for (int step = 0; step < 20'000; ++step) {
            std::uint32_t rank = random() % size;
            if (random() % 2 == 0) {
                ours.insert(rank);
                theirs.insert(rank);
            } else {
                ours.erase(rank);
                theirs.erase(rank);
            }
            std::uint32_t from = random() % size;
            auto expected = theirs.lower_bound(from);
            ASSERT_EQ(ours.next(from), expected == theirs.end() ? std::nullopt : std::optional(*expected)) << size;
            ASSERT_EQ(ours.contains(rank), theirs.contains(rank));
        }
        EXPECT_EQ(ours.empty(), theirs.empty());
        EXPECT_EQ(ours.next(size), std::nullopt);
    }
}

}  // namespace
}  // namespace vmette::scheduler
