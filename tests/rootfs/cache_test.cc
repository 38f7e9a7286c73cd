/// The cache: when an image is used again, when it is made again, and who may make it.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "rootfs/fixture.h"
#include "rootfs/image_cache.h"
#include "rootfs/report.h"
#include "rootfs/tar_builder.h"

namespace vmette::rootfs {
namespace {

class CacheTest : public RootfsTest {
protected:
    /// A source whose file was last changed long ago, so that its time can be trusted.
    std::string old_source(const std::string& content, const std::string& name = "r.tar") {
        auto path = write(name, make_tar({tar_file("a", content)}));
        wait_until_settled(path);
        return "tar+file://" + path.string();
    }
    Context with(PullPolicy pull) { return Context{.layout = layout, .index = index, .pull = pull}; }
    /// Makes any work with the archive impossible to miss: the worker cannot be found.
    struct NoWorker {
        NoWorker() : before(::getenv("VMETTE_LIBEXEC_DIR")) { ::unsetenv("VMETTE_LIBEXEC_DIR"); }
        ~NoWorker() { ::setenv("VMETTE_LIBEXEC_DIR", before.c_str(), 1); }
        std::string before;
    };
};

TEST_F(CacheTest, UnchangedFileIsNotReadAgain) {
    std::string source = old_source("x");
    auto first = resolve(source);
    ASSERT_TRUE(first) << first.error().text();
    NoWorker none;
    auto start = std::chrono::steady_clock::now();
    auto second = resolve(source);
    auto took = std::chrono::steady_clock::now() - start;
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_EQ(second->digest, first->digest);
    EXPECT_EQ(index.added, 1);
    EXPECT_LT(took, std::chrono::milliseconds(50)) << "2 ms are promised; a busy machine is forgiven";
}

TEST_F(CacheTest, ChangedFileIsMadeIntoANewImage) {
    auto first = resolve(old_source("x"));
    auto second = resolve(old_source("y"));
    ASSERT_TRUE(first && second);
    EXPECT_NE(first->digest, second->digest);
    EXPECT_EQ(image_files().size(), 2U);
}

TEST_F(CacheTest, SameContentUnderAnotherTimeOrNameIsNotUnpackedAgain) {
    std::string source = old_source("x");
    auto first = resolve(source);
    ASSERT_TRUE(first);
    run_program({"touch", "-d", "2001-01-01", (dir / "r.tar").string()});
    NoWorker none;
    auto touched = resolve(source);
    ASSERT_TRUE(touched) << touched.error().text();
    EXPECT_EQ(touched->digest, first->digest);
    auto always = registry.resolve(source, with(PullPolicy::always));
    ASSERT_TRUE(always) << always.error().text();
}

TEST_F(CacheTest, FreshlyWrittenFileIsReadAgainBecauseItsTimeProvesNothing) {
    auto path = write("r.tar", make_tar({tar_file("a", "x")}));
    ASSERT_TRUE(resolve("tar+file://" + path.string()));
    // Whether the test was fast enough to count as fresh is up to the machine; a trusted time must be an old one.
    if (!index.records[0].validator.empty()) GTEST_SKIP() << "the machine is too slow for a file to be fresh";
    write("r.tar", make_tar({tar_file("a", "y")}));
    auto second = resolve("tar+file://" + path.string());
    ASSERT_TRUE(second);
    EXPECT_EQ(image_files().size(), 2U);
}

TEST_F(CacheTest, TwoSourcesOfOneContentShareAnImage) {
    auto first = resolve(old_source("x", "one.tar"));
    auto second = resolve(old_source("x", "two.tar"));
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->path, second->path);
    EXPECT_EQ(image_files().size(), 1U);
    EXPECT_EQ(index.records.size(), 2U);
}

TEST_F(CacheTest, GoneOrDamagedImageIsMadeAgain) {
    std::string source = old_source("x");
    auto first = resolve(source);
    ASSERT_TRUE(first);
    std::filesystem::remove(first->path);
    auto second = resolve(source);
    ASSERT_TRUE(second) << second.error().text();
    EXPECT_EQ(second->digest, first->digest);
    std::filesystem::remove(second->path);
    write("cache/images/" + second->digest.substr(7) + ".squashfs", "cut");
    auto third = resolve(source);
    ASSERT_TRUE(third) << third.error().text();
    EXPECT_EQ(third->bytes, first->bytes);
    EXPECT_EQ(std::filesystem::file_size(third->path), first->bytes);
}

TEST_F(CacheTest, FoldersThatOthersCanWriteAreNotUsed) {
    std::string source = old_source("x");
    ASSERT_TRUE(resolve(source));
    ASSERT_EQ(index.records.size(), 1U);
    for (const auto& folder : {layout.cache, layout.images_dir()}) {
        ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
        EXPECT_EQ(error_of(source), "io: " + folder.string() +
                                        " can be written by other users (mode 0777): chmod go-w " + folder.string());
        EXPECT_EQ(error_of("example.com/a"), error_of(source));
        EXPECT_EQ(open_image(layout, index.records[0].digest, index.records[0].bytes).error().code, ErrorCode::io);
        EXPECT_EQ(remove_image(layout, index.records[0].digest).error().code, ErrorCode::io);
        ASSERT_EQ(::chmod(folder.c_str(), 0700), 0);
    }
    EXPECT_EQ(index.records.size(), 1U) << "it is not forgotten either";
    EXPECT_EQ(image_files().size(), 1U);
    EXPECT_TRUE(resolve(source));
    auto locks = layout.lock("x").parent_path();
    ASSERT_EQ(::chmod(locks.c_str(), 0777), 0);
    EXPECT_EQ(take_lock(layout, "x", {}).error().code, ErrorCode::io);
}

TEST_F(CacheTest, LockIsNotMadeThroughALink) {
    ASSERT_TRUE(take_lock(layout, "x", {}));
    std::filesystem::create_symlink(dir / "elsewhere", layout.lock("y"));
    EXPECT_FALSE(take_lock(layout, "y", {}));
    EXPECT_FALSE(std::filesystem::exists(dir / "elsewhere"));
}

TEST_F(CacheTest, ImageThatOthersCouldHaveWrittenIsMadeAgain) {
    std::string source = old_source("x");
    auto first = resolve(source);
    ASSERT_TRUE(first);
    std::string good = read_whole(first->path);
    auto falsify = [&] {
        std::filesystem::remove(first->path);
        write(std::filesystem::relative(first->path, dir), std::string(first->bytes, 'z'));
    };
    falsify();
    ASSERT_EQ(::chmod(first->path.c_str(), 0464), 0);
    EXPECT_EQ(open_image(layout, first->digest, first->bytes).error().code, ErrorCode::io);
    ASSERT_TRUE(resolve(source));
    EXPECT_EQ(read_whole(first->path), good);
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make a file another user's";
    falsify();
    ASSERT_EQ(::chown(first->path.c_str(), 12345, 12345), 0);
    ASSERT_TRUE(resolve(source));
    EXPECT_EQ(read_whole(first->path), good);
}

TEST_F(CacheTest, MissingFileIsSaidEvenWhenItsImageIsThere) {
    std::string source = old_source("x");
    ASSERT_TRUE(resolve(source));
    std::filesystem::remove(dir / "r.tar");
    EXPECT_EQ(error_of(source), "not-found: the file " + (dir / "r.tar").string() + " does not exist");
    EXPECT_EQ(error_of("tar+file://" + dir.string()), "bad-input: " + dir.string() + " is not a file");
}

TEST_F(CacheTest, ImageInUseIsLockedAgainstRemoval) {
    auto resolved = resolve(old_source("x"));
    ASSERT_TRUE(resolved);
    auto other = open_file(resolved->path, O_RDONLY);
    ASSERT_TRUE(other);
    EXPECT_NE(::flock(other->get(), LOCK_EX | LOCK_NB), 0);
    resolved->image.reset();
    EXPECT_EQ(::flock(other->get(), LOCK_EX | LOCK_NB), 0);
}

TEST_F(CacheTest, WhatAKilledBuilderLeftIsSweptUnlessItsBuilderLives) {
    std::filesystem::create_directories(layout.images_dir());
    write("cache/images/dead.staging", "half an image");
    auto live = open_file(write("cache/images/live.staging", "half an image"), O_RDONLY);
    ASSERT_TRUE(live);
    ASSERT_EQ(::flock(live->get(), LOCK_EX), 0);
    ASSERT_TRUE(resolve(old_source("x")));
    EXPECT_FALSE(std::filesystem::exists(layout.images_dir() / "dead.staging"));
    EXPECT_TRUE(std::filesystem::exists(layout.images_dir() / "live.staging"));
}

TEST_F(CacheTest, MissingWorkerIsNamed) {
    std::string source = old_source("x");
    NoWorker none;
    EXPECT_TRUE(
        error_of(source).starts_with("not-found: the helper program vmette-image-worker is not installed (searched: "));
}

TEST_F(CacheTest, WorkerThatIsNoneIsAnError) {
    std::filesystem::create_directories(dir / "libexec");
    auto fake = write("libexec/vmette-image-worker", "#!/bin/sh\nkill -9 $$\n");
    std::filesystem::permissions(fake, std::filesystem::perms::owner_all);
    NoWorker none;
    ::setenv("VMETTE_LIBEXEC_DIR", (dir / "libexec").c_str(), 1);
    EXPECT_EQ(error_of(old_source("x")), "io: the image worker was killed by signal 9 (Killed)");
    write("libexec/vmette-image-worker", "#!/bin/sh\necho nonsense\n");
    EXPECT_EQ(error_of(old_source("y")), "protocol: the image worker sent a line that is none");
    // Says that it is done although it wrote nothing: its word is not enough.
    write("libexec/vmette-image-worker", "#!/bin/sh\nprintf 'D\\t\\n'\n");
    EXPECT_EQ(error_of(old_source("z")),
              "bad-image: the image made from " + (dir / "r.tar").string() + " is not a squashfs image");
    EXPECT_TRUE(image_files().empty());
}

/// An index in a file, for several processes. Records are appended; the last of a source counts.
class FileIndex final : public ImageIndex {
public:
    explicit FileIndex(std::filesystem::path path) : path_(std::move(path)) {}
    std::optional<ImageRecord> find_source(const std::string& source) override {
        std::optional<ImageRecord> found;
        for (const auto& record : load())
            if (record.source == source) found = record;
        return found;
    }
    std::optional<ImageRecord> find_content(const std::string&) override { return std::nullopt; }
    Result<> add(const ImageRecord& record) override {
        VMETTE_TRY(Fd fd, open_file(path_, O_WRONLY | O_CREAT | O_APPEND));
        return write_all(fd.get(), encode_fields({{"digest", record.digest},
                                                  {"source", record.source},
                                                  {"validator", record.validator},
                                                  {"bytes", std::to_string(record.bytes)}}) +
                                       "\n");
    }
    Result<> remove(const std::string&) override { return {}; }
    std::vector<ImageRecord> load() const {
        std::vector<ImageRecord> records;
        std::string text = read_file(path_, kMiB).value_or("");
        for (std::size_t start = 0, end = 0; (end = text.find('\n', start)) != text.npos; start = end + 1) {
            auto fields = decode_fields(text.substr(start, end - start)).value();
            ImageRecord record;
            record.digest = fields["digest"];
            record.source = fields["source"];
            record.validator = fields["validator"];
            record.bytes = parse_number(fields["bytes"]).value();
            records.push_back(record);
        }
        return records;
    }

private:
    std::filesystem::path path_;
};

TEST_F(CacheTest, EightProcessesBuildOneImageOnce) {
    auto path = write("r.tar", make_tar({tar_file("a", std::string(30 * kMiB, 'x'))}));
    wait_until_settled(path);
    std::string source = "tar+file://" + path.string();
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
        pid_t pid = ::fork();
        if (pid == 0) {
            FileIndex shared(dir / "index");
            auto resolved = registry.resolve(source, Context{.layout = layout, .index = shared});
            ::_exit(resolved && resolved->image ? 0 : 1);
        }
        children.push_back(pid);
    }
    for (pid_t pid : children) {
        int status = -1;
        ASSERT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(FileIndex(dir / "index").load().size(), 1U);
    EXPECT_EQ(image_files().size(), 1U);
}

TEST_F(CacheTest, KilledBuilderLeavesNeitherFileNorProcess) {
    auto path = write("r.tar", make_tar({tar_file("a", std::string(30 * kMiB, 'x'))}));
    // Orphans come to this process, so their end can be waited for.
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    auto told = make_pipe();
    ASSERT_TRUE(told);
    pid_t builder = ::fork();
    if (builder == 0) {
        Context context{.layout = layout, .index = index};
        // Asked for the first time when the worker runs already.
        context.cancelled = [&] {
            (void)write_all((*told)[1].get(), "x");
            ::pause();
            return false;
        };
        (void)registry.resolve("tar+file://" + path.string(), context);
        ::_exit(1);
    }
    char byte = 0;
    ASSERT_EQ(::read((*told)[0].get(), &byte, 1), 1);
    ASSERT_EQ(::kill(builder, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(builder, &status, 0), builder);
    pid_t worker = ::waitpid(-1, &status, 0);
    EXPECT_GT(worker, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    EXPECT_EQ(::waitpid(-1, &status, 0), -1) << "another process was left";
    EXPECT_TRUE(image_files().empty());
    EXPECT_TRUE(resolve("tar+file://" + path.string()));
}

}  // namespace
}  // namespace vmette::rootfs
