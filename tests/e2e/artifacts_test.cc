/// Artifacts of real guests.

#include <csignal>

#include "base/digest.h"
#include "e2e/guest_fixture.h"
#include "support/processes.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

class ArtifactsTest : public GuestTest {
protected:
    static constexpr const char* kOut = "[[artifacts]]\npath = \"/out/**\"\n";
    /// Of the newest run.
    std::filesystem::path place() {
        return home().layout().run_dir(home().last_run()["id"].get<std::string>()) / "artifacts";
    }
    std::string content(const std::string& path) { return read_file(place() / path, 16 << 20).value_or("(none)"); }
    std::vector<std::string> paths() {
        std::vector<std::string> out;
        const Json run = home().last_run();
        for (const auto& artifact : run["artifacts"]) out.push_back(artifact["path"]);
        return out;
    }
};

TEST_F(ArtifactsTest, WhatMatchesComesOutAlsoAfterFailure) {
    auto finished =
        shell("mkdir -p /out/deep; echo hello >/out/a.json; echo b >/out/deep/b.json; echo c >/out/c.txt; exit 3",
              "[[artifacts]]\npath = \"/out/**/*.json\"\n[[artifacts]]\npath = \"/etc/hostname\"\n");
    EXPECT_EQ(finished.code, 3) << finished;
    EXPECT_THAT(paths(), ::testing::ElementsAre("/etc/hostname", "/out/a.json", "/out/deep/b.json"));
    EXPECT_EQ(content("out/a.json"), "hello\n");
    EXPECT_EQ(home().last_run()["artifacts"][1]["sha256"], sha256_hex("hello\n"));
    EXPECT_THAT(home().vmette({"history", "show", "box"}).out, HasSubstr("/out/deep/b.json"));
    EXPECT_THAT(finished.err, Not(HasSubstr("artifacts")));
}

TEST_F(ArtifactsTest, TimeoutAndItsTermKeepThem) {
    auto finished =
        shell("mkdir /out; echo so far >/out/log; sleep 60", fmt::format("{}[limits]\ntimeout = \"1s\"\n", kOut));
    EXPECT_EQ(finished.code, 124) << finished;
    EXPECT_EQ(content("out/log"), "so far\n");
}

TEST_F(ArtifactsTest, NothingButRegularFilesOfTheGuestIsCopied) {
    auto finished = shell(
        "mkdir -p /out/sub; echo x >/out/real; ln -s /etc/passwd /out/link; ln -s /etc /out/folder; mkfifo /out/fifo; "
        "mknod /out/device c 1 5; touch \"$(printf '/out/new\\nline')\" \"$(printf '/out/esc\\033[31m')\"; ln "
        "/out/real /out/sub/hard",
        kOut);
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(paths(), ::testing::ElementsAre("/out/real", "/out/sub/hard"));
    EXPECT_THAT(finished.err, HasSubstr("4 files not copied, being no regular files"));
    EXPECT_THAT(finished.err, HasSubstr("2 files not copied, for names that are too long, too deep or not printable"));
    EXPECT_THAT(finished.err, Not(HasSubstr("\x1b[31m")));
}

TEST_F(ArtifactsTest, SizeIsBoundedAndWhatIsSmallStillComes) {
    auto finished =
        shell("mkdir /out; truncate -s 10G /out/huge; head -c 3000000 /dev/zero >/out/large; echo s >/out/small",
              "[[artifacts]]\npath = \"/out/*\"\nmax = \"2M\"\n");
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(paths(), ::testing::ElementsAre("/out/small"));
    EXPECT_THAT(finished.err, HasSubstr("2 files (10.0 GiB) not copied, beyond the 2.0 MiB of \"/out/*\""));
}

TEST_F(ArtifactsTest, FileThatGrowsIsCopiedAsLongAsItWas) {
    // Left running on purpose: it is ended before anything is copied.
    auto finished =
        shell("mkdir /out; (while :; do echo more >>/out/log; done) & until [ -s /out/log ]; do :; done", kOut);
    EXPECT_EQ(finished.code, 0) << finished;
    auto text = content("out/log");
    ASSERT_FALSE(text.empty());
    EXPECT_EQ(home().last_run()["artifacts"][0]["bytes"], text.size());
    EXPECT_EQ(home().last_run()["artifacts"][0]["sha256"], sha256_hex(text));
}

TEST_F(ArtifactsTest, ManyFilesComeWhole) {
    auto finished = shell("mkdir /out; cd /out; i=0; while [ $i -lt 10000 ]; do echo $i >$i; i=$((i+1)); done", kOut);
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(home().last_run()["artifacts"].size(), 10'000u);
    for (int i : {0, 7, 1999, 9999}) EXPECT_EQ(content(fmt::format("out/{}", i)), fmt::format("{}\n", i));
}

TEST_F(ArtifactsTest, WarmStartHasThemToo) {
    for (int time = 0; time < 2; ++time) {
        auto finished =
            shell(fmt::format("mkdir /out; echo {} >/out/n", time), fmt::format("{}[snapshot]\nwarm = true\n", kOut));
        EXPECT_EQ(finished.code, 0) << finished;
        EXPECT_EQ(content("out/n"), fmt::format("{}\n", time));
    }
    EXPECT_EQ(home().last_run()["warm"], true);
}

TEST_F(ArtifactsTest, ShareAndScratchAreSearchedAndTheRootsOwnFiles) {
    ASSERT_TRUE(make_private_dir(home().folder() / "share"));
    home().write("share/given", "given\n");
    auto finished =
        shell("echo made >/data/made",
              fmt::format("scratch = \"64M\"\nshares = [\"{}:/data:overlay\"]\n[[artifacts]]\npath = \"/data\"\n",
                          (home().folder() / "share").string()));
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_THAT(paths(), ::testing::ElementsAre("/data/given", "/data/made"));
}

TEST_F(ArtifactsTest, FullDiskOfTheHostIsSaidAndTheRunIsRecorded) {
    // Files may not become larger than this: the write fails as on a full disk.
    auto words = home().up_shell(kOut, "mkdir /out; head -c 9000000 /dev/zero >/out/large; exit 4");
    auto finished = home().vmette(words, seconds(60), {.wrapper = {"prlimit", "--fsize=8000000"}});
    EXPECT_EQ(finished.code, 4) << finished;
    EXPECT_THAT(finished.err, HasSubstr("artifacts are not whole"));
    EXPECT_THAT(paths(), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(place() / "out/large"));
    EXPECT_THAT(home().leftovers(), IsEmpty());
}

TEST_F(ArtifactsTest, InterruptWhileTheyAreCopiedEndsTheCopyAndKeepsTheEnd) {
    auto process = home().start(home().up_shell("scratch = \"1G\"\n[[artifacts]]\npath = \"/out/*\"\nmax = \"600M\"\n",
                                                "mkdir /out; truncate -s 500M /out/large; exit 5", {"-v"}));
    ASSERT_TRUE(process.until_err("phase collect", seconds(60))) << process.err();
    process.signal(SIGINT);
    auto finished = process.finish(seconds(30));
    EXPECT_EQ(finished.code, 5) << finished;
    EXPECT_THAT(finished.err, HasSubstr("artifacts are not whole: interrupted"));
    EXPECT_THAT(paths(), IsEmpty());
}

}  // namespace
}  // namespace vmette::testing
