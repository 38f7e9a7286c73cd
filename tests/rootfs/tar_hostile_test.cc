/// Archives that lie, climb, end early or are something else. Each is refused with its reason, and leaves nothing.

#include <sys/resource.h>

#include <set>
#include <sstream>

#include "base/process.h"
#include "rootfs/fixture.h"
#include "rootfs/tar_builder.h"

namespace vmette::rootfs {
namespace {

class HostileTarTest : public RootfsTest {
protected:
    /// The error without the archive's path; also checks that nothing is left behind.
    std::string refuse(std::string_view bytes, Limits limits = {}) {
        auto path = write("hostile.tar", bytes).string();
        Context with_limits{.layout = layout, .index = index, .limits = limits};
        std::string error = error_of("tar+file://" + path, with_limits);
        EXPECT_TRUE(image_files().empty());
        EXPECT_TRUE(index.records.empty());
        if (auto at = error.find(path + " "); at != error.npos) error.erase(at, path.size() + 1);
        return error;
    }
    std::string refuse(const std::vector<TarEntry>& entries) { return refuse(make_tar(entries)); }
    /// Files f0, f1, …, each of its own user and group, from 0 on.
    static std::string tar_of_owners(std::uint64_t count) {
        std::string tar;
        for (std::uint64_t i = 0; i < count; ++i) {
            TarEntry entry = tar_file(fmt::format("f{}", i), "");
            entry.uid = entry.gid = i;
            tar += tar_entry(entry);
        }
        return tar + tar_end();
    }
    std::string compress(const std::vector<std::string>& program, const std::string& tar) {
        auto argv = program;
        argv.push_back(write("plain.tar", tar).string());
        return run_program(argv);
    }
};

TEST_F(HostileTarTest, AbsoluteNameIsRefused) {
    EXPECT_EQ(refuse({tar_file("/etc/passwd", "x")}),
              "bad-image: holds the entry \"/etc/passwd\", whose name is absolute");
}

TEST_F(HostileTarTest, DotDotIsRefused) {
    EXPECT_EQ(refuse({tar_file("a/../../x", "x")}),
              "bad-image: holds the entry \"a/../../x\", whose name has \"..\" in it");
}

TEST_F(HostileTarTest, SymlinkedParentThatLeadsOutIsRefused) {
    EXPECT_EQ(refuse({tar_symlink("out", "/etc"), tar_file("out/passwd", "x")}),
              "bad-image: holds the entry \"out/passwd\" beneath the symbolic link \"out\" to \"/etc\", which leads "
              "out of it");
    EXPECT_EQ(
        refuse({tar_symlink("d/up", "../.."), tar_file("d/up/x", "x")}),
        "bad-image: holds the entry \"d/up/x\" beneath the symbolic link \"up\" to \"../..\", which leads out of it");
}

TEST_F(HostileTarTest, HardLinkOutsideIsRefused) {
    EXPECT_EQ(refuse({tar_hardlink("h", "/etc/shadow")}),
              "bad-image: holds the hard link \"h\" to \"/etc/shadow\", which lies outside of it");
    EXPECT_EQ(refuse({tar_hardlink("h", "../x")}),
              "bad-image: holds the hard link \"h\" to \"../x\", which lies outside of it");
    EXPECT_EQ(refuse({tar_symlink("s", "/etc"), tar_hardlink("h", "s/shadow")}),
              "bad-image: holds the entry \"h\" beneath the symbolic link \"s\" to \"/etc\", which leads out of it");
    EXPECT_EQ(refuse({tar_hardlink("h", "later"), tar_file("later", "x")}),
              "bad-image: holds the hard link \"h\" to \"later\", which does not come before it");
}

TEST_F(HostileTarTest, PaxPathIsCheckedLikeAnyOther) {
    TarEntry entry = tar_file("harmless", "x");
    entry.pax = {{"path", "../../etc/passwd"}};
    EXPECT_EQ(refuse({entry}), "bad-image: holds the entry \"../../etc/passwd\", whose name has \"..\" in it");
    entry = tar_hardlink("h", "harmless");
    entry.pax = {{"linkpath", "/etc/passwd"}};
    EXPECT_EQ(refuse({entry}), "bad-image: holds the hard link \"h\" to \"/etc/passwd\", which lies outside of it");
}

TEST_F(HostileTarTest, NameCannotMoveTheCursor) {
    EXPECT_EQ(refuse({tar_file("/\x1b]0;title\x07\n", "x")}),
              "bad-image: holds the entry \"/\\x1b]0;title\\x07\\x0a\", whose name is absolute");
}

TEST_F(HostileTarTest, GarbageIsNoArchive) {
    std::string garbage(100'000, 'g');
    EXPECT_EQ(refuse(garbage), "bad-image: is not a tar archive (plain, or compressed with gzip, zstd or xz)");
    EXPECT_EQ(refuse("short"), "bad-image: is not a tar archive (plain, or compressed with gzip, zstd or xz)");
    EXPECT_EQ(refuse(""), "bad-image: is not a tar archive (plain, or compressed with gzip, zstd or xz)");
    EXPECT_EQ(refuse(compress({"gzip", "-c"}, garbage)),
              "bad-image: is not a tar archive (plain, or compressed with gzip, zstd or xz)");
}

TEST_F(HostileTarTest, ArchiveWithoutEntriesIsRefused) {
    EXPECT_EQ(refuse(tar_end()), "bad-image: is an archive without a single entry");
}

TEST_F(HostileTarTest, ArchiveCutBetweenEntriesIsNoticed) {
    std::string whole = tar_entry(tar_file("a", "1")) + tar_entry(tar_file("b", "2"));
    EXPECT_EQ(refuse(whole), "bad-image: is cut short: its end marker is missing after the entry \"b\"");
    EXPECT_EQ(refuse(tar_entry(tar_file("a", std::string(2048, '\0')))),
              "bad-image: is cut short: its end marker is missing after the entry \"a\"");
}

TEST_F(HostileTarTest, ArchiveCutInsideAnEntryIsNoticed) {
    std::string tar = make_tar({tar_file("a", std::string(5000, 'a'))});
    for (std::size_t length : {700UL, 512UL + 1024UL, 512UL + 5000UL})
        EXPECT_EQ(refuse(tar.substr(0, length)), "bad-image: is cut short in or after the entry \"a\"") << length;
}

TEST_F(HostileTarTest, CompressedStreamCutAnywhereIsNoticed) {
    std::string tar = make_tar({tar_file("a", std::string(300'000, 'a')), tar_file("b", "b")});
    for (const auto& [format, program] : std::map<std::string, std::vector<std::string>>{
             {"gzip", {"gzip", "-c"}}, {"zstd", {"zstd", "-c", "-q"}}, {"xz", {"xz", "-c"}}}) {
        std::string packed = compress(program, tar);
        ASSERT_GT(packed.size(), 40U);
        for (std::size_t cut : {1UL, 6UL, packed.size() / 2}) {
            std::string expected = "bad-image: is cut short: its " + format + " stream does not end";
            EXPECT_EQ(refuse(packed.substr(0, packed.size() - cut)), expected) << cut;
        }
        EXPECT_NE(refuse(packed + "garbage, longer than a header").find("bad-image: is damaged: "), std::string::npos)
            << format;
    }
}

TEST_F(HostileTarTest, DamagedGzipIsNoticedByItsChecksum) {
    std::string packed = compress({"gzip", "-c", "-n"}, make_tar({tar_file("a", "data")}));
    packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 1);
    EXPECT_EQ(refuse(packed), "bad-image: is damaged: its gzip stream is not valid (incorrect data check)");
}

TEST_F(HostileTarTest, DamagedHeaderIsNoticed) {
    std::string tar = make_tar({tar_file("a", "1"), tar_file("b", "2"), tar_file("c", std::string(600'000, 'x'))});
    tar[1024 + 10] = 'Z';
    EXPECT_EQ(refuse(tar).substr(0, 47), "bad-image: is damaged after the entry \"a\" (Dama");
}

TEST_F(HostileTarTest, ArchiveThatUnpacksToTooMuchIsStopped) {
    Limits limits;
    limits.max_unpacked = 1 * kMiB;
    std::string bomb = compress({"gzip", "-c"}, make_tar({tar_file("zeros", std::string(8 * kMiB, '\0'))}));
    EXPECT_EQ(refuse(bomb, limits), "bad-image: unpacks to more than 1.0 MiB");
    // The same by holes: one block of data, and a size of a terabyte.
    TarEntry sparse = tar_file("GNUSparseFile.0/hole", "1\n0\n1\n" + std::string(506, '\0') + "x");
    sparse.pax = {{"GNU.sparse.major", "1"},
                  {"GNU.sparse.minor", "0"},
                  {"GNU.sparse.name", "hole"},
                  {"GNU.sparse.realsize", "1099511627776"}};
    EXPECT_EQ(refuse(make_tar({sparse}), limits), "bad-image: unpacks to more than 1.0 MiB");
    // And after the end marker, where nobody looks.
    EXPECT_EQ(refuse(make_tar({tar_file("a", "")}) + std::string(2 * kMiB, '\0'), limits),
              "bad-image: unpacks to more than 1.0 MiB");
}

TEST_F(HostileTarTest, ArchiveWithTooManyEntriesIsStopped) {
    Limits limits;
    limits.max_entries = 100;
    std::vector<TarEntry> entries;
    for (int i = 0; i < 101; ++i) entries.push_back(tar_file(fmt::format("f{}", i), ""));
    EXPECT_EQ(refuse(make_tar(entries), limits), "bad-image: holds more than 100 entries");
}

TEST_F(HostileTarTest, NumbersOutOfRangeAreRefused) {
    TarEntry entry = tar_file("a", "x");
    entry.pax = {{"uid", "99999999999"}};
    EXPECT_EQ(refuse({entry}), "bad-image: holds the entry \"a\", whose owner 99999999999:0 is out of range");
    entry = {.name = "dev", .type = '3', .major = 5000, .minor = 1};
    EXPECT_EQ(refuse({entry}), "bad-image: holds the device \"dev\", whose numbers 5000:1 are out of range");
    entry = tar_file("big", "x");
    entry.claimed_size = 1LL << 32;
    EXPECT_EQ(refuse({entry}), "bad-image: is cut short in or after the entry \"big\"");
}

TEST_F(HostileTarTest, ExtendedAttributesAreBounded) {
    TarEntry entry = tar_file("a", "x");
    entry.pax = {{"SCHILY.xattr.user.big", std::string(70'000, 'v')}};
    EXPECT_EQ(refuse({entry}), "bad-image: holds the entry \"a\", whose extended attributes are too large");
    std::vector<TarEntry> many;
    for (int i = 0; i < 200; ++i) {
        many.push_back(tar_file(fmt::format("f{}", i), ""));
        many.back().pax = {{"SCHILY.xattr.user.big", fmt::format("{:050000}", i)}};
    }
    EXPECT_NE(refuse(many).find("whose extended attributes are too large"), std::string::npos);
}

TEST_F(HostileTarTest, TooManyOwnersAreRefused) {
    EXPECT_EQ(refuse(tar_of_owners(65'536)), "bad-image: has more than 65535 different owners");
}

TEST_F(HostileTarTest, EveryOneOfManyOwnersIsKept) {
    auto resolved = resolve("tar+file://" + write("a.tar", tar_of_owners(65'535)).string());
    ASSERT_TRUE(resolved) << resolved.error().text();
    auto listing = run_program({"unsquashfs", "-lln", "-d", "/r", resolved->path.string()});
    std::set<std::string> found;
    std::istringstream lines(listing);
    for (std::string mode, owner, size, day, time, name; lines >> mode >> owner >> size >> day >> time >> name;)
        found.insert(fmt::format("{} {}", name, owner));
    // The root folder is root's.
    EXPECT_EQ(found.size(), 65'536U);
    for (std::uint64_t i = 0; i < 65'535; ++i) ASSERT_TRUE(found.contains(fmt::format("/r/f{} {}/{}", i, i, i)));
}

TEST_F(HostileTarTest, PrefixesOfAllLengthsAreRefused) {
    std::string tar = make_tar({tar_folder("d"), tar_file("d/a", std::string(700, 'a')), tar_symlink("s", "d"),
                                tar_hardlink("h", "d/a"), tar_file("s/b", "b")});
    for (std::size_t length = 0; length < tar.size() - 1024; length += 97)
        EXPECT_EQ(refuse(std::string_view(tar).substr(0, length)).substr(0, 10), "bad-image:") << length;
}

TEST_F(HostileTarTest, CancelEndsTheWorkAndLeavesNothing) {
    auto path = write("a.tar", make_tar({tar_file("a", std::string(4 * kMiB, 'x'))}));
    Context context{.layout = layout, .index = index};
    context.cancelled = [] { return true; };
    EXPECT_EQ(error_of("tar+file://" + path.string(), context), "cancelled: cancelled");
    EXPECT_TRUE(image_files().empty());
}

}  // namespace
}  // namespace vmette::rootfs
