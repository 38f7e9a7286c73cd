#include "vm/last_words.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace vmette::vm {
namespace {

TEST(LastWordsTest, LastLineIsKeptHarmless) {
    auto words = LastWords::make();
    ASSERT_TRUE(words);
    EXPECT_EQ(words->take(), "");
    ASSERT_TRUE(write_all(words->write_end(), "starting\nfatal: \x1b[31mno device\n"));
    EXPECT_EQ(words->take(), "fatal: \\x1b[31mno device");
    EXPECT_EQ(words->take(), "");
}

TEST(LastWordsTest, FloodNeitherBlocksTheWriterNorGrows) {
    auto words = LastWords::make();
    ASSERT_TRUE(words);
    const std::string flood(100'000, 'x');
    std::size_t written = 0;
    // A pipe that blocked would hang here.
    for (int i = 0; i < 10; ++i) {
        ssize_t n = ::write(words->write_end(), flood.data(), flood.size());
        if (n > 0) written += static_cast<std::size_t>(n);
    }
    EXPECT_LT(written, flood.size());
    EXPECT_LT(words->take().size(), 500U);
}

TEST(LastWordsTest, WriterThatHasGoneIsNoError) {
    auto words = LastWords::make();
    ASSERT_TRUE(words);
    ASSERT_TRUE(write_all(words->write_end(), "bye"));
    words->started();
    EXPECT_EQ(words->take(), "bye");
    EXPECT_EQ(words->take(), "");
}

}  // namespace
}  // namespace vmette::vm
