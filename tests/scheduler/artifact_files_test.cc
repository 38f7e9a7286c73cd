#include "scheduler/artifact_files.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/layout.h"

namespace vmette::scheduler {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct ArtifactFilesTest : testing::Test {
    // In memory: a disk whose freed blocks are discarded at once takes minutes to forget 20,000 folders.
    TempDir folder = *TempDir::make("/dev/shm");
    fs::path place = folder.path() / "run" / "artifacts";
    std::vector<manifest::Artifact> wanted{{"/out/**", 64 * kMiB}};
    int over = 0;
    ArtifactFiles files{place, wanted, [this] { ++over; }};
    vm::ArtifactSink& sink = *files.request().sink;

    Result<> give(const std::string& path, const std::string& content) {
        VMETTE_CHECK_OK(sink.begin(path, content.size()));
        if (!content.empty()) sink.data(content);
        sink.end();
        return {};
    }
    static vm::ArtifactSummary summary() {
        vm::ArtifactSummary summary;
        summary.matched = {1};
        summary.beyond.resize(1);
        return summary;
    }
    static std::string read(const fs::path& path) { return read_file(path, 1 << 20).value_or("(none)"); }
};

TEST_F(ArtifactFilesTest, FilesAreWrittenWithTheirDigests) {
    ASSERT_TRUE(give("out/deep/er/a", "hello"));
    ASSERT_TRUE(give("out/deep/er/b", ""));
    ASSERT_TRUE(give("top", std::string(300'000, 'x')));
    sink.report(summary());
    files.close();
    EXPECT_EQ(over, 1);
    EXPECT_THAT(files.problems(), IsEmpty());
    auto records = files.take_records();
    ASSERT_EQ(records.size(), 3U);
    EXPECT_EQ(records[0], (store::ArtifactRecord{"/out/deep/er/a", 5, sha256_hex("hello")}));
    EXPECT_EQ(records[2].bytes, 300'000U);
    EXPECT_EQ(read(place / "out/deep/er/a"), "hello");
    EXPECT_EQ(fs::file_size(place / "top"), 300'000U);
    struct stat status{};
    ASSERT_EQ(::stat((place / "out/deep/er/a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    ASSERT_EQ(::stat((place / "out").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0700U);
}

TEST_F(ArtifactFilesTest, NothingIsMadeForNothing) {
    auto none = summary();
    none.matched = {0};
    sink.report(none);
    files.close();
    EXPECT_FALSE(fs::exists(place));
    EXPECT_THAT(files.problems(), ElementsAre("artifacts: nothing to copy at \"/out/**\""));
}

TEST_F(ArtifactFilesTest, TwoOfANameAndFilesBelowFilesAreTheGuestsOffence) {
    ASSERT_TRUE(give("out/a", "first"));
    auto twice = give("out/a", "second");
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code, ErrorCode::protocol);
    EXPECT_EQ(twice.error().text(), "the guest sent an artifact twice: out/a");
    auto below = give("out/a/b", "x");
    ASSERT_FALSE(below);
    EXPECT_EQ(below.error().code, ErrorCode::protocol);
    EXPECT_EQ(give("out", "x").error().code, ErrorCode::protocol);
    EXPECT_EQ(read(place / "out/a"), "first");
}

TEST_F(ArtifactFilesTest, WhatIsNotWholeIsRemovedAndNotRecorded) {
    ASSERT_TRUE(give("out/whole", "x"));
    ASSERT_TRUE(sink.begin("out/torn", 5));
    sink.data("he");
    sink.abandon("Input/output error");
    ASSERT_TRUE(sink.begin("out/half", 5));
    sink.data("he");
    files.close();
    EXPECT_TRUE(fs::exists(place / "out/whole"));
    EXPECT_FALSE(fs::exists(place / "out/torn"));
    EXPECT_FALSE(fs::exists(place / "out/half"));
    EXPECT_EQ(files.take_records().size(), 1U);
    EXPECT_THAT(files.problems(), ElementsAre("artifacts are not whole: the machine ended first"));
}

TEST_F(ArtifactFilesTest, LossesAreSaidWithAnExample) {
    auto some = summary();
    some.beyond[0] = {2, 80 * kMiB, "out/big"};
    some.irregular = {1, 0, "out/link"};
    some.gave_up = true;
    sink.report(some);
    EXPECT_THAT(
        files.problems(),
        ElementsAre("artifacts: 2 files (80.0 MiB) not copied, beyond the 64.0 MiB of \"/out/**\", such as /out/big",
                    "artifacts: a file not copied, being no regular files, such as /out/link",
                    "artifacts: there was too much to search, and not all was looked at"));
}

TEST_F(ArtifactFilesTest, FullDiskEndsThemOnceAndKeepsWhatIsWhole) {
    fs::create_directories(place);
    if (::mount("none", place.c_str(), "tmpfs", 0, "size=64k") != 0) GTEST_SKIP() << "no right to mount a file system";
    ASSERT_TRUE(give("out/small", std::string(1000, 's')));
    ASSERT_TRUE(give("out/large", std::string(200'000, 'l')));
    ASSERT_TRUE(give("out/later", "x"));
    files.close();
    auto small = read(place / "out/small");
    bool large = fs::exists(place / "out/large");
    ::umount2(place.c_str(), MNT_DETACH);
    EXPECT_EQ(over, 1);
    EXPECT_EQ(small, std::string(1000, 's'));
    EXPECT_FALSE(large);
    EXPECT_EQ(files.take_records().size(), 1U);
    ASSERT_EQ(files.problems().size(), 1U);
    EXPECT_THAT(files.problems()[0], HasSubstr("No space left on device"));
}

TEST_F(ArtifactFilesTest, FoldersAreBounded) {
    std::uint32_t made = 0;
    for (int i = 0; over == 0; ++i) {
        std::string path = fmt::format("out/{}", i);
        for (int k = 0; k < 60; ++k) path += "/d";
        ASSERT_TRUE(give(path + "/file", ""));
        ++made;
        ASSERT_LT(made, 1000U);
    }
    EXPECT_THAT(files.problems(), ElementsAre(HasSubstr("they lie in more than 20000 folders")));
}

}  // namespace
}  // namespace vmette::scheduler
