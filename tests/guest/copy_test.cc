#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "base/fd.h"
#include "base/layout.h"
#include "base/process.h"
#include "guest/copy/pack.h"
#include "guest/copy/tar.h"
#include "guest/copy/unpack.h"

namespace vmette::copying {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Heard final : Listener {
    std::vector<std::string> problems;
    void on_problem(const std::string& problem) override { problems.push_back(problem); }
};

std::string contents(const fs::path& path) { return read_file(path, 1 << 24).value_or("(missing)"); }
mode_t mode_of(const fs::path& path) {
    struct stat info{};
    return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

/// One file of an archive, as a stranger may write it.
std::string entry(Kind kind, const std::string& name, const std::string& content = "", const std::string& target = "",
                  std::uint32_t mode = 0644) {
    Entry made;
    made.kind = kind;
    made.name = name;
    made.target = target;
    made.mode = mode;
    made.size = content.size();
    return encode_header(made) + content + std::string(padding(content.size()), '\0');
}
std::string folder(const std::string& name, std::uint32_t mode = 0755) {
    return entry(Kind::folder, name, "", "", mode);
}
std::string end() { return std::string(2 * kBlock, '\0'); }

class CopyTest : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directory(source());
        fs::create_directory(place());
        write(folder_.path() / "secret", "not yours");
    }
    fs::path source() const { return folder_.path() / "source"; }
    fs::path place() const { return folder_.path() / "place"; }
    static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

    /// What pack() makes of a path.
    std::string packed(const fs::path& path, Outcome expected = Outcome::whole) {
        auto pipe = make_pipe();
        std::string stream;
        std::jthread reader([&] { stream = read_all((*pipe)[0].get(), 1 << 26, "stream").value_or("(too long)"); });
        EXPECT_EQ(pack(path, (*pipe)[1].get(), heard_), expected);
        (*pipe)[1].reset();
        reader.join();
        return stream;
    }
    Outcome unpacked(const std::string& stream, UnpackRules rules = {}) {
        auto pipe = make_pipe();
        std::jthread writer([&, out = std::move((*pipe)[1])] { (void)write_all(out.get(), stream); });
        Fd root(::open(place().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        rules.root = root.get();
        auto outcome = unpack((*pipe)[0].get(), rules, heard_);
        (*pipe)[0].reset();
        return outcome;
    }
    /// Nothing but the folder may have changed.
    void TearDown() override {
        EXPECT_EQ(contents(folder_.path() / "secret"), "not yours");
        std::vector<std::string> names;
        for (const auto& item : fs::directory_iterator(folder_.path())) names.push_back(item.path().filename());
        EXPECT_THAT(names, testing::UnorderedElementsAre("source", "place", "secret"));
    }

    TempDir folder_ = *TempDir::make();
    Heard heard_;
};

TEST_F(CopyTest, TreeComesBackWithModesTimesAndLinks) {
    write(source() / "a file", std::string(100'000, 'x') + "end");
    write(source() / "empty", "");
    fs::create_directories(source() / "deep/er");
    write(source() / "deep/er/tool", "#!");
    fs::permissions(source() / "deep/er/tool", fs::perms(0751));
    fs::create_symlink("deep/er/tool", source() / "link");
    fs::permissions(source() / "deep", fs::perms(0500));
    timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, (source() / "a file").c_str(), times, 0), 0);

    EXPECT_EQ(unpacked(packed(source())), Outcome::whole);
    EXPECT_THAT(heard_.problems, IsEmpty());
    auto made = place() / "source";
    EXPECT_EQ(contents(made / "a file"), contents(source() / "a file"));
    EXPECT_EQ(fs::file_size(made / "empty"), 0u);
    EXPECT_EQ(mode_of(made / "deep/er/tool"), 0751u);
    EXPECT_EQ(mode_of(made / "deep"), 0500u);
    EXPECT_EQ(fs::read_symlink(made / "link"), "deep/er/tool");
    struct stat info{};
    ASSERT_EQ(::stat((made / "a file").c_str(), &info), 0);
    EXPECT_EQ(info.st_mtime, 1'000'000'000);
    fs::permissions(source() / "deep", fs::perms(0700));
    fs::permissions(made / "deep", fs::perms(0700));
}

TEST_F(CopyTest, WhatTarWritesIsReadAndWhatIsWrittenTarReads) {
    std::string longest(200, 'n');
    fs::create_directory(source() / longest);
    write(source() / longest / std::string(180, 'f'), "long");
    fs::create_symlink(std::string(150, 't'), source() / "far");
    write(source() / "plain", "p");
    for (const char* format : {"--format=gnu", "--format=pax", "--format=ustar"}) {
        bool ustar = std::string_view(format) == "--format=ustar";  // whose names are short
        auto made = run_captured({.argv = {"tar", format, "-C", source(), "-c", ustar ? "plain" : "."}},
                                 std::chrono::seconds(20), 1 << 22);
        ASSERT_TRUE(made && made->ok());
        UnpackRules rules;
        rules.refuse_outside_links = false;
        EXPECT_EQ(unpacked(made->out, rules), Outcome::whole) << format;
        EXPECT_EQ(contents(place() / "plain"), "p");
        if (!ustar) {
            EXPECT_EQ(contents(place() / longest / std::string(180, 'f')), "long") << format;
            EXPECT_EQ(fs::read_symlink(place() / "far"), std::string(150, 't'));
        }
        fs::remove_all(place());
        fs::create_directory(place());
    }
    write(place() / "stream", packed(source()));
    auto listed = run_captured({.argv = {"tar", "-tf", place() / "stream"}}, std::chrono::seconds(20));
    ASSERT_TRUE(listed && listed->ok()) << listed->err;
    EXPECT_THAT(listed->out, HasSubstr("source/" + longest + "/" + std::string(180, 'f') + "\n"));
    EXPECT_THAT(heard_.problems, IsEmpty());
}

TEST_F(CopyTest, NamesThatClimbAreRefusedAndTheRestGoesOn) {
    std::string stream = entry(Kind::file, "../secret", "taken") + entry(Kind::file, "/etc/passwd-vmette", "taken") +
                         entry(Kind::file, "a/../../secret", "taken") + entry(Kind::file, "ok", "fine") + end();
    EXPECT_EQ(unpacked(stream), Outcome::partial);
    EXPECT_EQ(heard_.problems.size(), 3u);
    EXPECT_EQ(contents(place() / "ok"), "fine");
    EXPECT_FALSE(fs::exists("/etc/passwd-vmette"));
}

TEST_F(CopyTest, NothingIsWrittenThroughALink) {
    fs::create_directory_symlink(folder_.path(), place() / "way");
    fs::create_symlink("../secret", place() / "file");
    std::string stream =
        entry(Kind::file, "way/secret", "taken") + entry(Kind::file, "file", "mine") + folder("way") + end();
    EXPECT_EQ(unpacked(stream), Outcome::partial);
    EXPECT_EQ(contents(place() / "file"), "mine");
    EXPECT_FALSE(fs::is_symlink(place() / "file")) << "it was replaced, not followed";
    EXPECT_EQ(heard_.problems.size(), 2u);
}

TEST_F(CopyTest, LinkMadeByTheStreamIsNoWayOutEither) {
    std::string stream = entry(Kind::symlink, "up", "", "..") + entry(Kind::file, "up/secret", "taken") + end();
    UnpackRules guests;
    guests.refuse_outside_links = false;
    guests.follow_links = true;
    EXPECT_EQ(unpacked(stream, guests), Outcome::partial) << "kept as a link, not followed out of the root";
    EXPECT_TRUE(fs::is_symlink(place() / "up"));
}

TEST_F(CopyTest, LinksThatLeadOutOfTheTreeAreRefused) {
    auto link = [](const std::string& name, const std::string& target) {
        return entry(Kind::symlink, name, "", target);
    };
    std::string stream = folder("t") + folder("t/d") + link("t/absolute", "/etc/passwd") + link("t/up", "../secret") +
                         link("t/d/far", "../../x") + link("t/self", ".") + link("t/trick", "self/../../secret") +
                         link("t/d/fine", "../self") + link("t/empty", "") +
                         entry(Kind::hard_link, "t/risen", "", "t/d/fine") +
                         entry(Kind::hard_link, "t/d/twin", "", "t/d/fine") + end();
    UnpackRules rules;
    rules.rename = "t";
    EXPECT_EQ(unpacked(stream, rules), Outcome::partial);
    EXPECT_TRUE(fs::is_symlink(place() / "t/self"));
    EXPECT_TRUE(fs::is_symlink(place() / "t/d/fine"));
    EXPECT_TRUE(fs::is_symlink(place() / "t/d/twin"));
    EXPECT_FALSE(fs::exists(fs::symlink_status(place() / "t/risen"))) << "a symlink's other name leads elsewhere";
    for (const char* name : {"absolute", "up", "d/far", "trick", "empty"})
        EXPECT_FALSE(fs::exists(fs::symlink_status(place() / "t" / name))) << name;
}

TEST_F(CopyTest, HardLinksStayInTheTree) {
    std::string stream = entry(Kind::file, "a", "both") + entry(Kind::hard_link, "b", "", "a") +
                         entry(Kind::hard_link, "c", "", "../secret") + entry(Kind::hard_link, "d", "", "missing") +
                         end();
    EXPECT_EQ(unpacked(stream), Outcome::partial);
    EXPECT_EQ(contents(place() / "b"), "both");
    EXPECT_EQ(heard_.problems.size(), 2u);
    EXPECT_FALSE(fs::exists(place() / "c"));
}

TEST_F(CopyTest, SetUidAndDevicesAreNotMade) {
    std::string stream =
        entry(Kind::file, "suid", "x", "", 06755) + entry(Kind::character, "dev") + entry(Kind::fifo, "pipe") + end();
    EXPECT_EQ(unpacked(stream), Outcome::partial);
    EXPECT_EQ(mode_of(place() / "suid"), 0755u);
    EXPECT_FALSE(fs::exists(place() / "dev"));
    EXPECT_EQ(heard_.problems.size(), 2u);
}

TEST_F(CopyTest, BoundsEndIt) {
    UnpackRules few;
    few.max_entries = 2;
    EXPECT_EQ(unpacked(entry(Kind::file, "1") + entry(Kind::file, "2") + entry(Kind::file, "3") + end(), few),
              Outcome::nothing);
    EXPECT_FALSE(fs::exists(place() / "3"));
    UnpackRules small;
    small.max_bytes = 10;
    EXPECT_EQ(unpacked(entry(Kind::file, "big", std::string(11, 'x')) + end(), small), Outcome::nothing);
    EXPECT_FALSE(fs::exists(place() / "big"));
    Entry huge;
    huge.name = "huge";
    huge.size = std::uint64_t{1} << 62;
    EXPECT_EQ(unpacked(encode_header(huge), small), Outcome::nothing);
    std::string names;
    for (int i = 0; i < 100; ++i) names += encode_header({.name = "x"}).replace(156, 1, "L");
    EXPECT_EQ(unpacked(names), Outcome::nothing);
    EXPECT_EQ(unpacked(folder(std::string(4095, '/') + "x") + entry(Kind::file, std::string(300, 'n'))),
              Outcome::nothing);
}

TEST_F(CopyTest, CutAnywhereItIsSaidAndNoPartOfAFileStays) {
    std::string stream = folder("d") + entry(Kind::file, "d/file", std::string(3000, 'x')) + end();
    EXPECT_EQ(unpacked(""), Outcome::empty);
    EXPECT_THAT(heard_.problems, IsEmpty());
    for (std::size_t size = 1; size < stream.size() - kBlock; size += 100) {
        EXPECT_EQ(unpacked(stream.substr(0, size)), Outcome::nothing) << size;
        EXPECT_TRUE(!fs::exists(place() / "d/file") || fs::file_size(place() / "d/file") == 3000u) << size;
        fs::remove_all(place() / "d");
    }
    EXPECT_TRUE(fs::is_empty(place())) << "no part under another name";
    write(place() / "file", "as it was");
    EXPECT_EQ(unpacked(entry(Kind::file, "file", std::string(3000, 'x')).substr(0, 2000)), Outcome::nothing);
    EXPECT_EQ(contents(place() / "file"), "as it was");
    EXPECT_EQ(unpacked("this is no archive" + std::string(1000, ' ')), Outcome::nothing);
    EXPECT_THAT(heard_.problems.back(), HasSubstr("no tar archive"));
}

TEST_F(CopyTest, OneTreeTakesTheNameItIsGiven) {
    write(source() / "f", "content");
    UnpackRules rules;
    rules.rename = "other";
    EXPECT_EQ(unpacked(packed(source()), rules), Outcome::whole);
    EXPECT_EQ(contents(place() / "other/f"), "content");
    EXPECT_EQ(unpacked(packed(source() / "f"), rules), Outcome::partial) << "a folder is in the way of a file";
    UnpackRules again;
    again.rename = "single";
    EXPECT_EQ(unpacked(packed(source() / "f"), again), Outcome::whole);
    EXPECT_EQ(contents(place() / "single"), "content");
    EXPECT_EQ(unpacked(packed(source() / "."), UnpackRules{}), Outcome::whole);
    EXPECT_EQ(contents(place() / "f"), "content") << "the folder's content, without its name";
}

TEST_F(CopyTest, DestinationIsReadAsCpReadsIt) {
    auto opened = [&](const std::string& destination, const std::string& name) {
        UnpackRules rules;
        bool found = open_destination(destination, name, rules);
        Fd root(rules.root);
        return found ? rules.rename : "(none)";
    };
    EXPECT_EQ(opened(place(), "x"), "x");
    EXPECT_EQ(opened(place() / "new", "x"), "new");
    EXPECT_EQ(opened(place().string() + "/new/", "x"), "(none)");
    EXPECT_EQ(opened(place() / "no/where", "x"), "(none)");
    EXPECT_EQ(opened(place(), "."), "");
    EXPECT_EQ(opened(place() / "new", ""), "(none)") << "a stream of any names needs a folder";
}

TEST_F(CopyTest, WhatCannotBePackedIsSaid) {
    EXPECT_EQ(pack(source() / "missing", 1, heard_), Outcome::nothing);
    EXPECT_THAT(heard_.problems, ElementsAre(HasSubstr("missing: No such file")));
    heard_.problems.clear();
    ASSERT_EQ(::mkfifo((source() / "pipe").c_str(), 0600), 0);
    write(source() / "file", "x");
    auto stream = packed(source(), Outcome::partial);
    EXPECT_THAT(heard_.problems, ElementsAre("source/pipe: left out, a device, socket or FIFO"));
    EXPECT_EQ(unpacked(stream), Outcome::whole);
    EXPECT_EQ(contents(place() / "source/file"), "x");
}

TEST_F(CopyTest, ReaderThatLeavesEndsThePacking) {
    write(source() / "big", std::string(1 << 20, 'x'));
    auto pipe = make_pipe();
    (*pipe)[0].reset();
    ::signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(pack(source(), (*pipe)[1].get(), heard_), Outcome::nothing);
    EXPECT_THAT(heard_.problems, IsEmpty()) << "who left knows why";
}

TEST(TarHeaderTest, SizesBeyondOctalComeBack) {
    for (std::uint64_t size : {0ULL, 1ULL, 077777777777ULL, 0100000000000ULL, 1ULL << 50}) {
        Entry made, read;
        made.name = "x";
        made.size = size;
        std::string block = encode_header(made);
        EXPECT_EQ(decode_header(block.data(), read), Found::entry);
        EXPECT_EQ(read.size, size);
    }
}

TEST(TarHeaderTest, EveryFlippedByteOfAHeaderIsSeen) {
    std::string block = encode_header({.name = "name", .target = "t"});
    for (std::size_t at = 0; at < kBlock; ++at) {
        std::string flipped = block;
        flipped[at] = static_cast<char>(flipped[at] ^ 0x15);
        Entry read;
        Found found = decode_header(flipped.data(), read);
        bool in_checksum = at >= 148 && at < 156;
        EXPECT_TRUE(in_checksum || found == Found::garbage) << at;
    }
}

TEST(TarHeaderTest, MalformedPaxRecordsAreRefused) {
    for (std::string_view records : {"9 path=x", "x path=y\n", "99999999999999999999 path=y\n", "3 \n", "10 pathxx\n\n",
                                     "22 GNU.sparse.major=1\n", "13 size=12x4\n"}) {
        Entry entry;
        EXPECT_FALSE(apply_pax(records, entry)) << records;
    }
    Entry entry;
    EXPECT_TRUE(apply_pax("10 path=y\n12 size=400\n", entry));
    EXPECT_EQ(entry.name, "y");
    EXPECT_EQ(entry.size, 400u);
}

}  // namespace
}  // namespace vmette::copying
