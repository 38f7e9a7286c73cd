/// Good archives: what is in them is in the image, all of it.

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/digest.h"
#include "rootfs/fixture.h"
#include "rootfs/image_tree.h"
#include "rootfs/tar_builder.h"

namespace vmette::rootfs {
namespace {

class TarProviderTest : public RootfsTest {
protected:
    std::string source_of(const std::string& tar, const std::string& name = "r.tar") {
        return "tar+file://" + write(name, tar).string();
    }
    /// Compares the image of an archive with what tar makes of it.
    void expect_same_as_tar(const std::filesystem::path& tar) {
        auto resolved = resolve("tar+file://" + tar.string());
        ASSERT_TRUE(resolved) << resolved.error().text();
        auto unpacked = dir / "untarred";
        std::filesystem::create_directories(unpacked);
        run_program({"tar", "-xpf", tar.string(), "-C", unpacked.string(), "--xattrs", "--xattrs-include=*"});
        EXPECT_EQ(differences(list_tree(unpacked), list_image(resolved->path, dir)), "");
    }
};

#define SKIP_UNLESS_ROOT() \
    if (::geteuid() != 0) GTEST_SKIP() << "owners, devices and capabilities can be compared by root alone"

TEST_F(TarProviderTest, ImageHoldsWhatTarUnpacksFromARealTree) {
    SKIP_UNLESS_ROOT();
    auto tree = dir / "tree";
    std::filesystem::create_directories(tree);
    // Files, hard links, links and setuid programs of this very system.
    run_program(
        {"sh", "-c",
         "tar -C / -cf - usr/share/perl5 usr/share/zoneinfo etc/alternatives usr/bin/passwd usr/share/terminfo | "
         "tar -xpf - -C \"$1\"",
         "sh", tree.string()});
    run_program({"sh", "-c", R"(
        cd "$1" && mknod null c 1 3 && mknod disk b 259 70000 && mkfifo fifo &&
        truncate -s 5M sparse && printf x | dd of=sparse bs=1 seek=3000000 conv=notrunc status=none &&
        echo 1 > twin && ln twin twin2 && ln -s target link && ln link link2 &&
        cp /bin/true cap && setcap cap_net_raw+ep cap && chown 1234:4321 sparse && touch -d 2001-02-03 fifo &&
        long=$(printf '%0200d' 7) && mkdir -p "$long/$long" && touch "$long/$long/file" &&
        printf data > 'name with "quotes" and
newline' && mkdir empty && chmod 1777 empty)",
                 "sh", tree.string()});
    ASSERT_EQ(::setxattr((tree / "twin").c_str(), "user.colour", "blue", 4, 0), 0);
    for (std::string format : {"gnu", "pax"}) {
        auto tar = dir / (format + ".tar");
        std::vector<std::string> argv{"tar", "-cf", tar.string(), "-S", "--format=" + format, "-C", tree.string(), "."};
        // Only pax archives hold extended attributes.
        if (format == "pax") argv.insert(argv.begin() + 1, {"--xattrs", "--xattrs-include=*"});
        run_program(argv);
        expect_same_as_tar(tar);
        std::filesystem::remove_all(dir / "untarred");
    }
}

TEST_F(TarProviderTest, CompressionIsKnownByContentAndGivesTheSameImage) {
    std::string tar = make_tar({tar_folder("bin"), tar_file("bin/sh", std::string(200'000, 's'))});
    auto plain = resolve(source_of(tar, "plain.gz"));
    ASSERT_TRUE(plain) << plain.error().text();
    for (std::vector<std::string> program :
         std::vector<std::vector<std::string>>{{"gzip", "-c"}, {"zstd", "-c", "-q", "--long=27"}, {"xz", "-9", "-c"}}) {
        auto packed = run_program({program[0], "-c", "-q", (dir / "plain.gz").string()});
        auto resolved = resolve(source_of(packed, program[0]));
        ASSERT_TRUE(resolved) << program[0] << resolved.error().text();
        EXPECT_EQ(resolved->digest, plain->digest) << program[0];
    }
    // Two members one after the other are one stream to gzip.
    auto first = write("first", tar.substr(0, 1000)), second = write("second", tar.substr(1000));
    auto joined = run_program({"gzip", "-c", first.string()}) + run_program({"gzip", "-c", second.string()});
    EXPECT_EQ(resolve(source_of(joined, "joined"))->digest, plain->digest);
}

TEST_F(TarProviderTest, ImageIsWhatTheDigestSaysAndCannotBeWritten) {
    auto resolved = resolve(source_of(make_tar({tar_file("a", "x")})));
    ASSERT_TRUE(resolved) << resolved.error().text();
    EXPECT_EQ(resolved->kind, RootKind::block_image);
    EXPECT_EQ(resolved->provider, "tar");
    EXPECT_EQ("sha256:" + sha256_file(resolved->path).value(), resolved->digest);
    EXPECT_EQ(resolved->path, layout.image(resolved->digest.substr(7)));
    EXPECT_EQ(resolved->bytes, std::filesystem::file_size(resolved->path));
    EXPECT_EQ(resolved->bytes % 4096, 0U);
    struct stat info{};
    ASSERT_EQ(::fstat(resolved->image.get(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0400U);
    EXPECT_LT(::pwrite(resolved->image.get(), "x", 1, 0), 0);
}

TEST_F(TarProviderTest, LaterEntriesReplaceEarlierOnes) {
    auto big = [](char c) { return std::string(400'000, c); };
    auto resolved = resolve(source_of(make_tar(
        {tar_file("same", big('1')), tar_file("same", big('2')), tar_folder("d"), tar_file("d/x", big('3')),
         tar_file("d", "file now"), tar_file("f", big('4')), tar_folder("f"), tar_file("f/y", "y"), tar_file("a", "a"),
         tar_hardlink("b", "a"), tar_file("a", "new a"), tar_symlink("s", "nowhere"), tar_file("s", "no link")})));
    ASSERT_TRUE(resolved) << resolved.error().text();
    auto listing = list_image(resolved->path, dir);
    EXPECT_EQ(listing.size(), 8U);
    EXPECT_EQ(read_whole(dir / "unsquashed/same"), big('2'));
    EXPECT_EQ(read_whole(dir / "unsquashed/d"), "file now");
    EXPECT_EQ(read_whole(dir / "unsquashed/f/y"), "y");
    EXPECT_EQ(read_whole(dir / "unsquashed/a"), "new a");
    EXPECT_EQ(read_whole(dir / "unsquashed/b"), "a");
    EXPECT_EQ(read_whole(dir / "unsquashed/s"), "no link");
}

TEST_F(TarProviderTest, NamesNeedNotBeUtf8) {
    TarEntry pax = tar_file("placeholder", "pax");
    pax.pax = {{"path", "pax-\xff\xfe"}};
    auto resolved = resolve(source_of(make_tar({tar_file("raw-\xff", "raw"), pax, tar_file("\xc3\xa4", "umlaut")})));
    ASSERT_TRUE(resolved) << resolved.error().text();
    list_image(resolved->path, dir);
    EXPECT_EQ(read_whole(dir / "unsquashed/raw-\xff"), "raw");
    EXPECT_EQ(read_whole(dir / "unsquashed/pax-\xff\xfe"), "pax");
    EXPECT_EQ(read_whole(dir / "unsquashed/\xc3\xa4"), "umlaut");
}

TEST_F(TarProviderTest, ManyEntriesInOneFolderAndDeepFolders) {
    std::string tar, deep;
    for (int i = 0; i < 20'000; ++i) tar += tar_entry(tar_file(fmt::format("many/{:05}", i), i % 7 == 0 ? "x" : ""));
    for (int i = 0; i < 40; ++i) deep += "d/";
    tar += tar_entry(tar_file(deep + "bottom", "b")) + tar_end();
    auto resolved = resolve(source_of(tar));
    ASSERT_TRUE(resolved) << resolved.error().text();
    auto listing = list_image(resolved->path, dir);
    EXPECT_EQ(listing.size(), 20'000U + 40U + 3U);
    EXPECT_EQ(read_whole(dir / "unsquashed" / deep / "bottom"), "b");
}

TEST_F(TarProviderTest, FoldersDeepestAllowedMakeAnImage) {
    std::string deep;
    for (int i = 0; i < 2'000; ++i) deep += "d/";
    TarEntry entry = tar_file("x", "x");
    entry.pax = {{"path", deep + "x"}};
    auto resolved = resolve(source_of(make_tar({entry})));
    ASSERT_TRUE(resolved) << resolved.error().text();
    std::filesystem::remove_all(dir / "unsquashed");
}

TEST_F(TarProviderTest, ChecksumIsCompared) {
    std::string tar = make_tar({tar_file("a", "x")});
    std::string source = source_of(tar), right = sha256_hex(tar), wrong(64, '0');
    EXPECT_EQ(error_of(source + "#sha256=" + wrong), "bad-image: " + (dir / "r.tar").string() + " has the SHA-256 " +
                                                         right + ", but " + wrong + " was asked for");
    EXPECT_TRUE(image_files().empty());
    auto resolved = resolve(source + "#sha256=" + right);
    ASSERT_TRUE(resolved) << resolved.error().text();
    EXPECT_EQ(index.records.at(0).content_digest, "sha256:" + right);
}

TEST_F(TarProviderTest, ProgressIsTold) {
    int calls = 0;
    std::uint64_t last = 0;
    Context context{.layout = layout, .index = index};
    context.progress = [&](const Progress& progress) {
        EXPECT_EQ(progress.step, "unpack");
        EXPECT_GE(progress.done, last);
        last = progress.done;
        ++calls;
    };
    ASSERT_TRUE(registry.resolve(source_of(make_tar({tar_file("a", std::string(9 * kMiB, 'a'))})), context));
    EXPECT_GT(calls, 0);
}

}  // namespace
}  // namespace vmette::rootfs
