#include "vm/discard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>

#include "base/layout.h"

namespace vmette::vm {
namespace {

class DiscardTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto folder = TempDir::make();
        ASSERT_TRUE(folder);
        folder_ = std::make_unique<TempDir>(std::move(*folder));
    }
    Fd unlinked_file(std::size_t mebibytes) {
        auto path = folder_->path() / "file";
        auto fd = open_file(path, O_RDWR | O_CREAT);
        EXPECT_TRUE(fd);
        std::filesystem::remove(path);
        std::string piece(1 << 20, 'x');
        for (std::size_t i = 0; i < mebibytes; ++i) EXPECT_TRUE(write_all(fd->get(), piece));
        return std::move(*fd);
    }
    std::unique_ptr<TempDir> folder_;
};

TEST_F(DiscardTest, EverythingIsFreedSoonAfter) {
    for (std::size_t mebibytes : {1, 64}) {
        Fd file = unlinked_file(mebibytes);
        // An open file description lock is held until the last copy of the descriptor is closed, whoever has it.
        auto link = fmt::format("/proc/self/fd/{}", file.get());
        auto other = open_file(link, O_RDWR);
        ASSERT_TRUE(other);
        struct flock lock{};
        lock.l_type = F_WRLCK;
        ASSERT_EQ(::fcntl(file.get(), F_OFD_SETLK, &lock), 0);
        ASSERT_TRUE(discard(std::move(file)));
        EXPECT_EQ(::fcntl(other->get(), F_OFD_SETLKW, &lock), 0) << mebibytes;
    }
}

TEST_F(DiscardTest, NothingToDiscardIsNoError) { EXPECT_TRUE(discard(Fd())); }

}  // namespace
}  // namespace vmette::vm
