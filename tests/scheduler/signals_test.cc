#include "scheduler/signals.h"

#include <gtest/gtest.h>

namespace vmette::scheduler {
namespace {

TEST(SignalQueueTest, QueuesSignalsInsteadOfDying) {
    auto queue = SignalQueue::open();
    ASSERT_TRUE(queue);
    EXPECT_FALSE(queue->end_requested());
    ::raise(SIGTERM);
    EXPECT_TRUE(queue->end_requested());
    EXPECT_EQ(queue->requested(), SIGTERM);
    EXPECT_EQ(queue->take(), SIGTERM);
    EXPECT_EQ(queue->take(), std::nullopt);
}

TEST(SignalQueueTest, WindowChangeIsNoEnd) {
    auto queue = SignalQueue::open();
    ASSERT_TRUE(queue);
    ::raise(SIGWINCH);
    EXPECT_FALSE(queue->end_requested());
}

TEST(SignalQueueTest, RestoresTheMaskAndDropsWhatNobodyTook) {
    sigset_t before, after;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &before);
    {
        auto queue = SignalQueue::open();
        ASSERT_TRUE(queue);
        ::raise(SIGPIPE);  // ours to swallow
        ::raise(SIGINT);   // too late for the run, and not meant for who comes after it
    }
    ::pthread_sigmask(SIG_BLOCK, nullptr, &after);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGWINCH})
        EXPECT_EQ(sigismember(&before, number), sigismember(&after, number)) << number;
}

}  // namespace
}  // namespace vmette::scheduler
