#include "base/token_bucket.h"

#include <gtest/gtest.h>

namespace vmette {
namespace {

using std::chrono::milliseconds;

constexpr MonotonicTime kStart{std::chrono::hours(1)};

TEST(TokenBucketTest, GivesSoManyAtOnceAndThenSoManyASecond) {
    TokenBucket bucket(3, 10, kStart);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(kStart));
    EXPECT_FALSE(bucket.take(kStart));
    EXPECT_FALSE(bucket.take(kStart + milliseconds(99)));
    EXPECT_TRUE(bucket.take(kStart + milliseconds(101)));
    EXPECT_FALSE(bucket.take(kStart + milliseconds(102)));
}

TEST(TokenBucketTest, TimeThatPassesUnusedFillsItNoFurtherThanItsSize) {
    TokenBucket bucket(2, 1000, kStart);
    auto later = kStart + std::chrono::hours(5);
    EXPECT_TRUE(bucket.take(later));
    EXPECT_TRUE(bucket.take(later));
    EXPECT_FALSE(bucket.take(later));
}

TEST(TokenBucketTest, AfterTheWaitThereIsOne) {
    TokenBucket bucket(1, 3, kStart);
    EXPECT_TRUE(bucket.take(kStart));
    EXPECT_FALSE(bucket.take(kStart));
    EXPECT_TRUE(bucket.take(kStart + bucket.wait()));
}

}  // namespace
}  // namespace vmette
