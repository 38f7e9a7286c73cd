/// Layers into one image, compared with what `umoci unpack` makes of the same ones.

#include <unistd.h>

#include <random>
#include <set>

#include "base/process.h"
#include "rootfs/oci/layers_fixture.h"
#include "rootfs/oci/layout_builder.h"

namespace vmette::rootfs::oci {
namespace {

class MergeTest : public LayersFixture {};

TEST_F(MergeTest, LayersOverOneAnother) {
    add({tar_folder("etc"), tar_file("etc/a", "1"), tar_file("etc/b", "1"), tar_file("var/x", "1")});
    add({tar_file("etc/a", "2"), tar_file("etc/.wh.b", ""), tar_file("var/.wh..wh..opq", ""), tar_file("var/y", "2")});
    EXPECT_EQ(names(), "etc etc/a var var/y ");
}

TEST_F(MergeTest, EmptyLayersAndLayersWithoutEndMarkersAreTaken) {
    add({tar_file("a", "1")});
    add(tar_end());
    add(tar_entry(tar_file("b", "2")));
    EXPECT_EQ(names(), "a b ");
}

TEST_F(MergeTest, EachCompressionOfALayerIsReadAndItsDiffIdIsOfTheTar) {
    // What follows the end marker is part of the layer.
    std::string tar = make_tar({tar_file("a", "1")}) + std::string(20 * 512, '\0') + "trailing";
    add(compress({"gzip", "-c"}, tar), tar);
    add(compress({"zstd", "-q", "-c"}, tar), tar);
    add(tar);
    EXPECT_EQ(names(), "a ");
}

TEST_F(MergeTest, EachCompressionOfAnImageCanBeChosen) {
    // Numbers of the squashfs format.
    for (auto [compression, number] :
         {std::pair{Compression::zstd, 6}, {Compression::lz4, 5}, {Compression::gzip, 1}}) {
        add({tar_file("a", std::string(100'000, 'a'))});
        auto merged = merge(compression);
        ASSERT_TRUE(merged) << merged.error().text();
        char bytes[22] = {};
        ASSERT_EQ(::pread(merged->fd(), bytes, sizeof bytes, 0), 22);
        EXPECT_EQ(bytes[20], number);
        if (compression != Compression::lz4) {
            EXPECT_EQ(list_image(fmt::format("/proc/{}/fd/{}", ::getpid(), merged->fd()), dir).size(), 2U);
        }
        forget();
    }
}

TEST_F(MergeTest, SameLayersGiveTheSameBytes) {
    std::mt19937 random(7);
    std::vector<TarEntry> entries;
    for (int i = 0; i < 6000; ++i) {
        std::string data(random() % 3000, static_cast<char>('a' + random() % 20));
        entries.push_back(tar_file(fmt::format("d{}/f{}", i % 50, i), data));
    }
    entries.push_back(tar_file("large", std::string(1'000'000, 'x') + "end"));
    auto whole = make_tar(entries);
    std::set<std::filesystem::path> images;
    for (int i = 0; i < 3; ++i) {
        add(whole);
        add({tar_file(".wh.d1", ""), tar_hardlink("d1/link", "large")});
        images.insert(image());
        forget();
    }
    EXPECT_EQ(images.size(), 1U);
}

TEST_F(MergeTest, LayerInsideALargerFile) {
    std::string tar = make_tar({tar_file("a", "1")});
    auto& layer = add("front" + tar + "behind", tar);
    layer.descriptor.size = tar.size();
    layer.descriptor.digest = layer.diff_id;
    layer.offset = 5;
    EXPECT_EQ(names(), "a ");
}

TEST_F(MergeTest, ProgressIsOfTheCompressedBytes) {
    std::mt19937 random(3);
    std::string noise;
    for (int i = 0; i < 30'000'000; ++i) noise += static_cast<char>(random());
    add({tar_file("noise", noise)});
    Progress last;
    int calls = 0;
    progress = [&](const Progress& now) {
        EXPECT_GE(now.done, last.done);
        last = now;
        ++calls;
    };
    ASSERT_TRUE(merge());
    if (calls == 0) GTEST_SKIP() << "this machine merged 30 MB in less than a tenth of a second";
    EXPECT_EQ(last.step, "unpack");
    EXPECT_EQ(last.total, layers_[0].descriptor.size);
    EXPECT_LE(last.done, last.total);
}

TEST_F(MergeTest, CanBeCancelled) {
    add({tar_file("a", "1")});
    cancelled = [] { return true; };
    EXPECT_EQ(refuse(), "cancelled: cancelled");
}

TarEntry with_xattr(TarEntry entry, const std::string& name, const std::string& value) {
    entry.pax.emplace_back("SCHILY.xattr." + name, value);
    return entry;
}
TarEntry with_mode(TarEntry entry, unsigned mode, std::uint64_t uid, std::uint64_t gid) {
    entry.mode = mode;
    entry.uid = uid;
    entry.gid = gid;
    return entry;
}
/// `data` at 200,000 of a file of 300,000 bytes, in GNU tar's pax form 1.0.
TarEntry sparse_file(const std::string& name, const std::string& data) {
    std::string map = fmt::format("1\n200000\n{}\n", data.size());
    map.resize(512, '\0');
    TarEntry entry = tar_file("GNUSparseFile.0/" + name, map + data);
    entry.pax = {{"GNU.sparse.major", "1"},
                 {"GNU.sparse.minor", "0"},
                 {"GNU.sparse.name", name},
                 {"GNU.sparse.realsize", "300000"}};
    return entry;
}
/// A version 2 capability set with cap_net_raw: linux/capability.h.
const std::string kCapability("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);

/// Many layers with all that can happen between them.
std::vector<std::vector<TarEntry>> many_layers() {
    TarEntry device{.name = "dev/null", .type = '3', .mode = 0666, .major = 1, .minor = 3};
    TarEntry disk{.name = "dev/sda", .type = '4', .mode = 0660, .gid = 6, .major = 259, .minor = 70000};
    TarEntry pipe{.name = "run/pipe", .type = '6', .mode = 0600};
    return {
        {with_mode(tar_folder("./"), 0755, 0, 0), tar_folder("./usr"), tar_folder("./usr/bin"),
         tar_symlink("./bin", "usr/bin"), tar_symlink("./sbin", "/usr/bin"),
         with_mode(tar_file("./usr/bin/su", "su"), 04755, 0, 0), with_mode(tar_folder("./tmp"), 01777, 0, 0),
         with_mode(tar_file("./usr/bin/mail", "mail"), 02755, 0, 8),
         with_xattr(tar_file("./usr/bin/ping", "ping"), "security.capability", kCapability), tar_folder("./dev"),
         device, disk, pipe, tar_file("./etc/a", "a"), tar_hardlink("./etc/a2", "./etc/a"),
         tar_file("./etc/gone", "gone"), tar_file("./etc/\xff\xfe\x01 name", "bytes"),
         sparse_file("./var/sparse", std::string(700, 's'))},
        {tar_file("etc/.wh.gone", ""), tar_hardlink("etc/a3", "etc/a"), tar_file("bin/through", "a symlink"),
         tar_file("sbin/through-absolute", "a symlink"), with_xattr(tar_folder("xa"), "user.note", "folder"),
         with_xattr(tar_file("xa/f", "x"), "user.note", "file"), tar_file("swap/x", "1"), tar_file("swap2", "2")},
        {with_mode(tar_file("etc/a2", "a"), 0600, 5, 5), tar_file("swap", "now a file"), tar_folder("swap2"),
         tar_file("swap2/y", "now a folder"), tar_file("opaque/low", "1"), tar_file("opaque/sub/low", "1"),
         tar_file("white/low", "1"), tar_file("white/sub/low", "1")},
        {tar_folder("opaque"), tar_file("opaque/.wh..wh..opq", ""), tar_file("opaque/high", "2"),
         tar_folder("opaque/sub"), tar_file("opaque/sub/high", "2"), tar_file(".wh.white", ""), tar_folder("white"),
         tar_file("white/high", "2")},
        {tar_folder("swap"), tar_file("swap/z", "a folder again"), tar_file(".wh.run", ""),
         tar_hardlink("usr/bin/su2", "usr/bin/su"), tar_file("usr/bin/.wh.mail", ""), tar_file("late/.wh..wh..opq", ""),
         tar_file("before", "x"), tar_file(".wh.before", "")},
        {tar_hardlink("usr/bin/su3", "bin/su2"), tar_file("usr/bin/.wh.su", ""),
         with_mode(tar_folder("tmp"), 0700, 1000, 1000), tar_file("large", std::string(400'000, 'l') + "end")},
    };
}

TEST_F(MergeTest, ManyLayersAreWhatUmociMakesOfThem) {
    if (!find_program("umoci")) GTEST_SKIP() << "umoci is not installed";
    if (::geteuid() != 0) GTEST_SKIP() << "only root can unpack owners and devices to compare with";
    LayoutBuilder builder(dir / "layout");
    for (const auto& entries : many_layers()) {
        std::string tar = make_tar(entries), blob = compress({"gzip", "-n", "-c"}, tar);
        builder.add_layer(blob, tar, "application/vnd.oci.image.layer.v1.tar+gzip");
        add(blob, tar);
    }
    builder.finish("test");
    run_program({"umoci", "unpack", "--image", (dir / "layout").string() + ":test", (dir / "bundle").string()});
    auto expected = list_tree(dir / "bundle/rootfs");
    ASSERT_GT(expected.size(), 30U);
    EXPECT_NE(expected["usr/bin/ping"].find("security.capability="), std::string::npos);
    EXPECT_EQ(differences(expected, listing()), "");
}

}  // namespace
}  // namespace vmette::rootfs::oci
