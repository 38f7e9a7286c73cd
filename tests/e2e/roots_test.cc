#include <set>

#include "base/digest.h"
#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

class RootsTest : public GuestTest {
protected:
    static void run(std::vector<std::string> argv) {
        auto result = run_captured({.argv = std::move(argv)}, seconds(60));
        ASSERT_TRUE(result && result->ok()) << (result ? result->err : result.error().text());
    }
    std::filesystem::path unpacked() {
        auto folder = home().folder() / "root";
        run({"unsquashfs", "-q", "-n", "-d", folder, busybox_image()});
        return folder;
    }
    /// Every path with its type, mode, size and time.
    static std::set<std::string> state_of(const std::filesystem::path& folder) {
        auto found = run_captured({.argv = {"find", folder, "-printf", "%p %y %m %s %T@ %l\n"}}, seconds(30), 16 << 20);
        std::set<std::string> lines;
        std::istringstream text(found ? found->out : "");
        for (std::string line; std::getline(text, line);) lines.insert(line);
        return lines;
    }
    Finished write_everywhere(const std::string& source, const std::string& scratch) {
        return home().vmette({"run", source, "--scratch", scratch, "--", "sh", "-c",
                              "echo x > /new && rm /etc/passwd && echo y >> /etc/group && mkdir /usr/dir && "
                              "cat /new && ! test -e /etc/passwd && tail -n 1 /etc/group"});
    }
};

TEST_F(RootsTest, FolderIsNeverWrittenThrough) {
    auto folder = unpacked();
    auto before = state_of(folder);
    for (const char* scratch : {"0", "64M"}) {
        auto finished = write_everywhere(folder, scratch);
        EXPECT_EQ(finished.code, 0) << finished;
        EXPECT_EQ(finished.out, "x\ny\n");
        EXPECT_EQ(state_of(folder), before);
    }
    Json run = home().last_run();
    EXPECT_EQ(run["image"]["provider"], "dir");
    EXPECT_EQ(run["image"]["digest"], nullptr);
}

TEST_F(RootsTest, ImageIsNeverWrittenThrough) {
    auto before = *sha256_file(busybox_image());
    for (const char* scratch : {"0", "64M"}) {
        auto finished = write_everywhere("squashfs+file://" + busybox_image().string(), scratch);
        EXPECT_EQ(finished.code, 0) << finished;
        EXPECT_EQ(finished.out, "x\ny\n");
    }
    EXPECT_EQ(*sha256_file(busybox_image()), before);
    EXPECT_EQ(home().last_run()["image"]["digest"], "sha256:" + before);
}

TEST_F(RootsTest, ReadOnlyRootIsReadOnly) {
    for (const auto& source : {"squashfs+file://" + busybox_image().string(), unpacked().string()}) {
        auto finished =
            home().vmette({"run", source, "--read-only", "--", "sh", "-c", "echo t > /tmp/t; echo x > /new"});
        EXPECT_EQ(finished.code, 1) << finished;
        EXPECT_THAT(finished.err, HasSubstr("Read-only file system"));
        EXPECT_THAT(finished.err, Not(HasSubstr("/tmp/t")));
        EXPECT_EQ(home().last_run()["scratch_mib"], 0);
    }
}

TEST_F(RootsTest, TarsOfEachCompressionRunTheSame) {
    auto folder = unpacked();
    auto tar = home().folder() / "root.tar";
    run({"tar", "-C", folder, "--owner=0", "--group=0", "-cf", tar, "."});
    std::set<std::string> digests;
    for (const char* how : {"", "gzip", "zstd", "xz"}) {
        auto file = home().folder() / fmt::format("root{}.tar", how);
        if (file != tar) run({"sh", "-c", fmt::format("{} -c {} > {}", how, tar.string(), file.string())});
        auto finished = home().vmette({"run", "tar+file://" + file.string(), "--scratch", "0", "--", "sh", "-c",
                                       "echo out; echo err >&2; exit 42"});
        EXPECT_EQ(finished.code, 42) << finished;
        EXPECT_EQ(finished.out, "out\n");
        EXPECT_THAT(finished.err, EndsWith("err\n"));
        digests.insert(home().last_run()["image"]["digest"]);
    }
    EXPECT_EQ(digests.size(), 1u) << "the same tree is the same image";
}

TEST_F(RootsTest, HostileTarIsRefusedAndWritesNothingOutside) {
    auto tar = home().folder() / "evil.tar";
    auto outside = home().folder() / "outside";
    home().write("file", "x");
    run({"tar", "-C", home().folder(), "--transform", "s|^file|../../../../../.." + outside.string() + "|", "-Pcf", tar,
         "file"});
    auto finished = home().vmette({"run", "tar+file://" + tar.string(), "--", "true"});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, AllOf(HasSubstr("image-error"), HasSubstr("..")));
    EXPECT_FALSE(std::filesystem::exists(outside));
}

TEST_F(RootsTest, MissingImageIsNamed) {
    auto finished = home().vmette({"run", "squashfs+file:///no/such.squashfs", "--", "true"});
    EXPECT_EQ(finished.code, 2) << finished;
    EXPECT_THAT(finished.err, HasSubstr("error: the file /no/such.squashfs does not exist\n"));
}

TEST_F(RootsTest, ImageWithoutACommandNeedsOne) {
    auto finished = home().vmette({"run", "squashfs+file://" + busybox_image().string()});
    EXPECT_EQ(finished.code, 125) << finished;
    EXPECT_THAT(finished.err, HasSubstr("there is nothing to run: the manifest has no exec"));
}

}  // namespace
}  // namespace vmette::testing
