#include <sys/mount.h>
#include <unistd.h>

#include <random>

#include "rootfs/fixture.h"
#include "rootfs/http_server.h"
#include "rootfs/tar_builder.h"

namespace vmette::rootfs {
namespace {

/// A cache on a filesystem of 2 MiB.
class NoSpaceTest : public RootfsTest {
protected:
    void SetUp() override {
        std::filesystem::create_directories(layout.cache);
        if (::mount("tmpfs", layout.cache.c_str(), "tmpfs", 0, "size=2m,mode=0700") != 0)
            GTEST_SKIP() << "a small filesystem can be mounted by root alone: " << ::strerror(errno);
        mounted_ = true;
        std::mt19937 random(1);
        for (std::size_t i = 0; i < 5 * kMiB; ++i) noise_ += static_cast<char>(random());
    }
    ~NoSpaceTest() override {
        if (mounted_) ::umount(layout.cache.c_str());
    }
    std::uintmax_t used() const {
        auto space = std::filesystem::space(layout.cache);
        return space.capacity - space.free;
    }

    std::string noise_;
    bool mounted_ = false;
};

TEST_F(NoSpaceTest, FullCacheIsSaidAndWhatWasWrittenIsFreed) {
    auto tar = write("r.tar", make_tar({tar_file("noise", noise_)}));
    EXPECT_EQ(error_of("tar+file://" + tar.string()),
              "no-space: no space left on the cache's filesystem while an image was made from " + tar.string());
    EXPECT_LT(used(), 64 * kKiB);
    auto image = write("r.squashfs", read_whole(make_squashfs(dir, noise_)));
    EXPECT_EQ(error_of("squashfs+file://" + image.string()),
              "no-space: no space left on the cache's filesystem while an image was made from " + image.string());
    EXPECT_LT(used(), 64 * kKiB);
}

TEST_F(NoSpaceTest, FullCacheEndsADownload) {
    HttpServer server([&](const HttpRequest& request, HttpConnection& connection) {
        serve_file(request, connection, noise_, "\"1\"");
    });
    std::string url = server.url("/r.tar");
    EXPECT_EQ(error_of("tar+" + url),
              "no-space: no space left on the cache's filesystem while " + url + " was downloaded");
}

}  // namespace
}  // namespace vmette::rootfs
