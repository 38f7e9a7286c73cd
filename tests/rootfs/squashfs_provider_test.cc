#include <fcntl.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/fd.h"
#include "rootfs/fixture.h"

namespace vmette::rootfs {
namespace {

class SquashfsProviderTest : public RootfsTest {
protected:
    SquashfsProviderTest() : image(make_squashfs(dir, "hello")), good(read_whole(image)) {}
    std::string source(const std::filesystem::path& path) const { return "squashfs+file://" + path.string(); }
    std::string refuse(const std::string& bytes) {
        auto path = write("bad.squashfs", bytes);
        std::string error = error_of(source(path));
        EXPECT_TRUE(image_files().empty());
        return error.substr(0, error.find(path.string())) +
               error.substr(error.find(path.string()) + path.string().size());
    }
    std::string damaged(std::size_t offset, std::string_view bytes) const {
        return std::string(good).replace(offset, bytes.size(), bytes);
    }

    std::filesystem::path image;
    std::string good;
};

TEST_F(SquashfsProviderTest, ImageIsCopiedSoThatItsOriginalMayChange) {
    auto resolved = resolve(source(image));
    ASSERT_TRUE(resolved) << resolved.error().text();
    EXPECT_EQ(resolved->provider, "squashfs");
    EXPECT_EQ(resolved->digest, "sha256:" + sha256_hex(good));
    write("image.squashfs", "gone");
    EXPECT_EQ(read_whole(resolved->path), good);
}

TEST_F(SquashfsProviderTest, WhatIsNoImageIsRefused) {
    EXPECT_EQ(refuse("garbage, more than a superblock of it: " + std::string(200, 'g')),
              "bad-image:  is not a squashfs image");
    EXPECT_EQ(refuse(""), "bad-image:  is not a squashfs image");
    EXPECT_EQ(refuse(good.substr(0, 95)), "bad-image:  is not a squashfs image");
}

TEST_F(SquashfsProviderTest, ImageCutShortIsRefused) {
    std::string cut = good.substr(0, 200);
    std::string error = refuse(cut);
    EXPECT_TRUE(error.starts_with("bad-image:  is a squashfs image that is cut short: 200 bytes of ")) << error;
}

TEST_F(SquashfsProviderTest, ImageWithATailThatWouldFillTheCacheIsRefused) {
    std::filesystem::resize_file(image, 6'000'000'000);
    std::string error = error_of(source(image));
    EXPECT_TRUE(error.find("is a squashfs image of ") != error.npos) << error;
    EXPECT_TRUE(error.ends_with(" more behind its end")) << error;
    EXPECT_TRUE(image_files().empty());
}

TEST_F(SquashfsProviderTest, SuperblockThatContradictsItselfIsRefused) {
    const std::string contradicts = "bad-image:  is not a valid squashfs image: its superblock contradicts itself";
    EXPECT_EQ(refuse(damaged(28, "\x05")), contradicts) << "version";
    EXPECT_EQ(refuse(damaged(22, "\x0d")), contradicts) << "block size and its logarithm";
    EXPECT_EQ(refuse(damaged(64, std::string(8, '\x7f'))), contradicts) << "inode table beyond the end";
    EXPECT_EQ(refuse(damaged(4, std::string(4, '\0'))), contradicts) << "no inodes";
    EXPECT_EQ(refuse(damaged(20, std::string_view("\x02\x00", 2))),
              "bad-image:  is a squashfs image with a compression (number 2) that Linux does not read");
}

TEST_F(SquashfsProviderTest, ChecksumIsCompared) {
    std::string wrong(64, 'b');
    EXPECT_EQ(error_of(source(image) + "#sha256=" + wrong), "bad-image: " + image.string() + " has the SHA-256 " +
                                                                sha256_hex(good) + ", but " + wrong + " was asked for");
    EXPECT_TRUE(image_files().empty());
}

}  // namespace
}  // namespace vmette::rootfs
