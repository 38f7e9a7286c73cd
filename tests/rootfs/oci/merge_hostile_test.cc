/// Layers that lie, climb, end early or grow without end. Each is refused with its reason, and leaves nothing.

#include <sys/mount.h>
#include <sys/resource.h>

#include <gmock/gmock.h>

#include <cstring>
#include <random>

#include "rootfs/oci/layers_fixture.h"

namespace vmette::rootfs::oci {
namespace {

class HostileLayersTest : public LayersFixture {
protected:
    static std::string digest(const std::string& bytes) { return "sha256:" + sha256_hex(bytes); }
    /// Of these entries above a harmless layer.
    std::string refuse_above(const std::vector<TarEntry>& entries) {
        add({tar_file("d/x", "x"), tar_symlink("abs", "/etc"), tar_symlink("loop", "loop")});
        add(entries);
        return refuse();
    }
};

TEST_F(HostileLayersTest, WrongDigestIsNamed) {
    std::string tar = make_tar({tar_file("a", "1")});
    std::string other = digest("other");
    add(tar).descriptor.digest = other;
    EXPECT_EQ(refuse(), "bad-image: image: the layer " + other + " has the digest " + digest(tar));
}

TEST_F(HostileLayersTest, WrongDigestIsTheReasonAlsoWhenTheWorkerFailsFirst) {
    std::string tar = make_tar({tar_file("a", "1")}), garbage(2'000'000, 'g');
    add(tar);
    add(garbage, tar).descriptor.digest = digest(tar);
    EXPECT_EQ(refuse(), "bad-image: image: the layer " + digest(tar) + " has the digest " + digest(garbage));
}

TEST_F(HostileLayersTest, WrongLengthIsNamed) {
    std::string tar = make_tar({tar_file("a", "1")});
    add(tar).descriptor.size = 512;
    EXPECT_EQ(refuse(), fmt::format("bad-image: image: the layer {} has 2048 bytes instead of 512", digest(tar)));
    add(tar).descriptor.size = 4096;
    EXPECT_EQ(refuse(), fmt::format("bad-image: image: the layer {} has 2048 bytes instead of 4096", digest(tar)));
    LayerInput& member = add(tar);
    member.offset = 1024;
    EXPECT_EQ(refuse(), fmt::format("bad-image: image: the layer {} is cut short: 1024 bytes of 2048", digest(tar)));
}

TEST_F(HostileLayersTest, WrongDiffIdIsNamed) {
    std::string tar = make_tar({tar_file("a", "1")});
    add(make_tar({tar_file("b", "1")}));
    add(tar).diff_id = digest("other");
    EXPECT_EQ(refuse(), fmt::format("bad-image: image: the layer {0} unpacks to {0} instead of {1}", digest(tar),
                                    digest("other")));
}

TEST_F(HostileLayersTest, LayerCutWithinItsCompressionIsNoticed) {
    std::string tar = make_tar({tar_file("a", "1")}), packed = compress({"gzip", "-c"}, tar);
    add(tar);
    add(packed.substr(0, packed.size() - 9), tar);
    EXPECT_EQ(refuse(), "bad-image: image is cut short: its gzip stream does not end (in layer 2)");
    add("not a tar");
    EXPECT_EQ(refuse(),
              "bad-image: image is not a tar archive (plain, or compressed with gzip, zstd or xz) (in layer 1)");
    add(tar_entry(tar_file("a", std::string(5000, 'a'))).substr(0, 1024));
    EXPECT_EQ(refuse(), "bad-image: image is cut short in or after the entry \"a\" (in layer 1)");
}

TEST_F(HostileLayersTest, TooManyLayersAreRefused) {
    EXPECT_EQ(refuse(), "bad-image: image has no layers");
    auto one = add({tar_file("a", "1")});
    layers_.assign(10'000, one);
    EXPECT_EQ(refuse(), "bad-image: image has more than 512 layers");
    one = add({tar_file("a", "1")});
    layers_.assign(512, one);
    EXPECT_EQ(names(), "a ");
}

TEST_F(HostileLayersTest, LimitsAreOfAllLayersTogether) {
    limits.max_unpacked = 3 * kMiB;
    std::string bomb = make_tar({tar_file("a", std::string(2 * kMiB, '\0'))});
    std::string packed = compress({"gzip", "-c"}, bomb);
    add(packed, bomb);
    EXPECT_EQ(names(), "a ");
    add(packed, bomb);
    std::filesystem::remove_all(layout.cache);
    EXPECT_EQ(refuse(), "bad-image: image unpacks to more than 3.0 MiB (in layer 2)");
    limits.max_entries = 5;
    for (int i = 0; i < 3; ++i) add({tar_file(fmt::format("a{}", i), ""), tar_file(".wh.nothing", "")});
    EXPECT_EQ(refuse(), "bad-image: image holds more than 5 entries (in layer 3)");
}

TEST_F(HostileLayersTest, MillionEntriesEndAtTheLimit) {
    limits.max_entries = 100'000;
    std::string entries;
    for (int i = 0; i < 1000; ++i) entries += tar_entry(tar_file(fmt::format("f{}", i), ""));
    std::string tar;
    for (int i = 0; i < 110; ++i) tar += entries;
    add(tar + tar_end());
    EXPECT_EQ(refuse(), "bad-image: image holds more than 100000 entries (in layer 1)");
}

/// Memory grows with the entries alone: 0.22 KiB each, and a fixed part (docs/images.md).
TEST_F(HostileLayersTest, MillionEntriesAreMergedInBoundedMemory) {
    constexpr int kFolders = 1000, kFiles = 999;
    {
        // Half a gigabyte of headers: not held in this process, whose peak would hide the worker's.
        auto tar = open_file(dir / "million.tar", O_WRONLY | O_CREAT);
        ASSERT_TRUE(tar);
        for (int folder = 0; folder < kFolders; ++folder) {
            std::string name = fmt::format("folder{:04}", folder), entries = tar_entry(tar_folder(name));
            for (int file = 0; file < kFiles; ++file)
                entries += tar_entry(tar_file(fmt::format("{}/a-name-of-usual-length-{:04}.py", name, file), ""));
            ASSERT_TRUE(write_all(tar->get(), entries));
        }
        ASSERT_TRUE(write_all(tar->get(), tar_end()));
    }
    run_program({"zstd", "-q", "--rm", (dir / "million.tar").string()});
    std::string packed = read_whole(dir / "million.tar.zst");
    add(packed, "").diff_id.clear();
    auto merged = merge();
    ASSERT_TRUE(merged) << merged.error().text();
    auto published = std::move(*merged).publish(layout);
    ASSERT_TRUE(published);
    EXPECT_THAT(run_program({"unsquashfs", "-s", published->path.string()}),
                testing::HasSubstr(fmt::format("Number of inodes {}", kFolders * (kFiles + 1) + 1)));
    rusage used{};
    ASSERT_EQ(::getrusage(RUSAGE_CHILDREN, &used), 0);
    RecordProperty("peak_mib", static_cast<int>(used.ru_maxrss / 1024));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(used.ru_maxrss, 300 * 1024) << "KiB";
#endif
}

TEST_F(HostileLayersTest, HolesCount) {
    limits.max_unpacked = 100 * kMiB;
    std::string map = "1\n4000000000\n1\n";
    map.resize(512, '\0');
    TarEntry entry = tar_file("sparse", map + "x");
    entry.pax = {{"GNU.sparse.major", "1"},
                 {"GNU.sparse.minor", "0"},
                 {"GNU.sparse.name", "sparse"},
                 {"GNU.sparse.realsize", "4000000001"}};
    EXPECT_EQ(refuse_above({entry}), "bad-image: image unpacks to more than 100.0 MiB (in layer 2)");
}

TEST_F(HostileLayersTest, NamesThatClimbAreRefused) {
    EXPECT_EQ(refuse_above({tar_file("a/../../x", "x")}),
              "bad-image: image holds the entry \"a/../../x\", whose name has \"..\" in it (in layer 2)");
    EXPECT_EQ(refuse_above({tar_hardlink("h", "../x")}),
              "bad-image: image holds the hard link \"h\" to \"../x\", which lies outside of it (in layer 2)");
    EXPECT_EQ(
        refuse_above({tar_hardlink("h", "/etc/shadow")}),
        "bad-image: image holds the hard link \"h\" to \"/etc/shadow\", which does not come before it (in layer 2)");
    EXPECT_EQ(
        refuse_above({tar_file("loop/x", "x")}),
        "bad-image: image holds the entry \"loop/x\", whose path goes through too many symbolic links (in layer 2)");
    EXPECT_EQ(refuse_above({tar_file("d/x/y", "x")}),
              "bad-image: image holds the entry \"d/x/y\", but \"x\" in its path is not a folder (in layer 2)");
}

TEST_F(HostileLayersTest, WhiteoutsThatClimbAreRefused) {
    EXPECT_EQ(refuse_above({tar_file(".wh...", "")}),
              "bad-image: image holds the whiteout \".wh...\", which names no file (in layer 2)");
    EXPECT_EQ(refuse_above({tar_file("d/.wh..", "")}),
              "bad-image: image holds the whiteout \"d/.wh..\", which names no file (in layer 2)");
    EXPECT_EQ(refuse_above({tar_file("d/.wh.", "")}),
              "bad-image: image holds the whiteout \"d/.wh.\", which names no file (in layer 2)");
    EXPECT_EQ(refuse_above({tar_file("../.wh.x", "")}),
              "bad-image: image holds the entry \"../.wh.x\", whose name has \"..\" in it (in layer 2)");
    EXPECT_EQ(refuse_above({tar_file(".wh.d/x", "")}),
              "bad-image: image holds the entry \".wh.d/x\" beneath a whiteout (in layer 2)");
}

TEST_F(HostileLayersTest, AbsoluteNamesAndLinksStayInside) {
    add({tar_symlink("abs", "/etc"), tar_symlink("up", "../../../.."), tar_file("/root/x", "x")});
    add({tar_file("abs/passwd", "x"), tar_file("up/top", "x"), tar_hardlink("h", "/etc/passwd")});
    EXPECT_EQ(names(), "abs etc etc/passwd h root root/x top up ");
}

TEST_F(HostileLayersTest, NamesInMessagesAreHarmless) {
    EXPECT_EQ(
        refuse_above({tar_file("../\x1b]0;title\x07\n", "x")}),
        "bad-image: image holds the entry \"../\\x1b]0;title\\x07\\x0a\", whose name has \"..\" in it (in layer 2)");
}

TEST_F(HostileLayersTest, DeviceThatIsNoneIsRefused) {
    EXPECT_EQ(refuse_above({{.name = "dev", .type = '3', .major = 4096, .minor = 1}}),
              "bad-image: image holds the device \"dev\", whose numbers 4096:1 are out of range (in layer 2)");
}

TEST_F(HostileLayersTest, FullDiskMidwayIsSaid) {
    std::filesystem::create_directories(layout.cache);
    if (::mount("tmpfs", layout.cache.c_str(), "tmpfs", 0, "size=2m,mode=0700") != 0)
        GTEST_SKIP() << "a small filesystem can be mounted by root alone: " << std::strerror(errno);
    std::mt19937 random(1);
    std::string noise;
    for (std::size_t i = 0; i < 5 * kMiB; ++i) noise += static_cast<char>(random());
    add({tar_file("noise", noise)});
    EXPECT_EQ(refuse(), "no-space: write the image: No space left on device");
    ::umount(layout.cache.c_str());
}

}  // namespace
}  // namespace vmette::rootfs::oci
