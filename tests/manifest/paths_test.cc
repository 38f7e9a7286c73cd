#include <fstream>

#include <gtest/gtest.h>

#include "base/layout.h"
#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

namespace fs = std::filesystem;
using testing::load_request;

/// A project folder on the real file system.
class PathsTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto made = TempDir::make();
        ASSERT_TRUE(made) << made.error().text();
        temp_.emplace(std::move(*made));
        root_ = fs::canonical(temp_->path());
        fs::create_directories(root_ / "proj/src/deep");
        fs::create_directories(root_ / "secret/keys");
        std::ofstream(root_ / "proj/file.img") << "x";
    }

    testing::Loaded load_here(std::string_view text) {
        LoadRequest request;
        request.sources.push_back({.name = "a.toml", .folder = root_ / "proj", .text = std::string(text)});
        request.home = root_ / "proj";
        request.forbidden_shares = forbidden_;
        return load_request(request);
    }

    std::string error_of(std::string_view text) { return load_here("rootfs = \"r:1\"\n" + std::string(text)).error; }

    std::optional<TempDir> temp_;
    fs::path root_;
    std::vector<fs::path> forbidden_;
};

TEST_F(PathsTest, MissingShare) {
    EXPECT_EQ(error_of("shares = [\"./gone:/x\"]\n"),
              fmt::format("a.toml:2:11: error: shares[0].host: {}/proj/gone does not exist\n"
                          "    shares = [\"./gone:/x\"]\n"
                          "              ^\n",
                          root_.native()));
    EXPECT_NE(error_of("shares = [\"./file.img:/x\"]\n").find("file.img is not a folder"), std::string::npos);
    EXPECT_NE(error_of("shares = [\"./file.img/x:/x\"]\n").find("file.img/x"), std::string::npos);
}

TEST_F(PathsTest, MissingDiskStdinKernelAndSecretAreAllNamed) {
    std::string error = error_of(
        "stdin = \"in.txt\"\n[[disks]]\npath = \"gone.img\"\n[[disks]]\npath = \"src\"\n[vm]\nkernel = \"k\"\n"
        "initramfs = \"src\"\nca_certs = \"nowhere\"\n[secrets]\nS = { file = \"key\" }\n");
    std::string proj = (root_ / "proj/").native();
    for (const std::string& expected :
         {"stdin: " + proj + "in.txt does not exist", "disks[0].path: " + proj + "gone.img does not exist",
          "disks[1].path: " + proj + "src is a folder, not a file", "vm.kernel: " + proj + "k does not exist",
          "vm.initramfs: " + proj + "src is a folder, not a file", "vm.ca_certs: " + proj + "nowhere does not exist",
          "secrets.S.file: " + proj + "key does not exist"})
        EXPECT_NE(error.find("error: " + expected + "\n"), std::string::npos) << expected << "\n" << error;
    EXPECT_EQ(error_of("disks = [{ path = \"file.img\" }]\nstdin = \"./file.img\"\n"), "");
    EXPECT_NE(error_of("disks = [{ path = \"/dev/null\" }]\n").find("is neither a file nor a block device"),
              std::string::npos);
}

TEST_F(PathsTest, SharesAreResolvedToRealPaths) {
    fs::create_directory_symlink("src/deep", root_ / "proj/link");
    auto loaded =
        load_here("rootfs = \"r:1\"\nshares = [\"./link:/x\", \"src/../src:/y\", \"../secret:/z\", \"~/src:/h\"]\n");
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.shares[0].host, root_ / "proj/src/deep");
    EXPECT_EQ(loaded.sandbox.shares[0].tag, "link");
    EXPECT_EQ(loaded.sandbox.shares[1].host, root_ / "proj/src");
    EXPECT_EQ(loaded.sandbox.shares[2].host, root_ / "secret");
    EXPECT_EQ(loaded.sandbox.shares[3].host, root_ / "proj/src");
}

TEST_F(PathsTest, ASymlinkThatLeavesItsFolderIsRefused) {
    fs::create_directory_symlink("../secret", root_ / "proj/planted");
    fs::create_directory_symlink(root_ / "secret/keys", root_ / "proj/src/keys");
    fs::create_directory_symlink("gone", root_ / "proj/dangling");
    std::string root = root_.native();
    EXPECT_EQ(
        error_of("shares = [\"./planted:/x\"]\n"),
        fmt::format("a.toml:2:11: error: shares[0].host: the symlink {0}/proj/planted leads out of its folder, to "
                    "{0}/secret; name that path itself if it is meant\n"
                    "    shares = [\"./planted:/x\"]\n"
                    "              ^\n",
                    root));
    EXPECT_NE(error_of("shares = [\"./planted/keys:/x\"]\n").find("leads out of its folder"), std::string::npos);
    EXPECT_NE(error_of("shares = [\"./src/keys:/x\"]\n").find("leads out of its folder"), std::string::npos);
    EXPECT_NE(error_of(fmt::format("shares = [\"{}/proj/planted:/x\"]\n", root)).find("leads out of its folder"),
              std::string::npos);
    EXPECT_NE(error_of("shares = [\"./dangling:/x\"]\n").find("dangling does not exist"), std::string::npos);
}

TEST_F(PathsTest, SymlinksOnTheWayToTheManifestItselfDoNotMatter) {
    fs::create_directory_symlink(root_ / "proj", root_ / "secret/alias");
    LoadRequest request;
    request.sources.push_back({.name = "a.toml",
                               .folder = root_ / "secret/alias",
                               .text = "rootfs = \"r:1\"\nshares = [\"./src:/x\", \"../keys:/y\"]\n"});
    auto loaded = load_request(request);
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(loaded.sandbox.shares[0].host, root_ / "proj/src");
    EXPECT_EQ(loaded.sandbox.shares[1].host, root_ / "secret/keys");
}

TEST_F(PathsTest, ForbiddenFoldersAreComparedByTheirRealPaths) {
    fs::create_directory_symlink("src", root_ / "proj/state");
    forbidden_ = {root_ / "proj/state"};
    EXPECT_NE(error_of("shares = [\"./src/deep:/x\"]\n").find("lies in vmette's own folder"), std::string::npos);
    EXPECT_NE(error_of("shares = [\".:/x\"]\n").find("holds vmette's own folder"), std::string::npos);
    forbidden_ = {root_ / "proj/not/made/yet"};
    EXPECT_NE(error_of("shares = [\".:/x\"]\n").find("holds vmette's own folder"), std::string::npos);
}

TEST_F(PathsTest, DiskMayNotBeAFileOfVmettesOwn) {
    fs::create_directories(root_ / "proj/state");
    std::ofstream(root_ / "proj/state/vmette.db") << std::string(4096, 'x');
    fs::create_symlink("state/vmette.db", root_ / "proj/innocent.img");
    forbidden_ = {root_ / "proj/state"};
    for (const char* path : {"state/vmette.db", "innocent.img"})
        EXPECT_NE(error_of(fmt::format("[[disks]]\npath = \"{}\"\n", path)).find("lies in vmette's own folder"),
                  std::string::npos)
            << path;
}

TEST_F(PathsTest, RootfsSourcesThatAreLocalBecomeAbsolute) {
    auto source = [&](std::string_view text) {
        return load_here(fmt::format("rootfs = \"{}\"\n", text)).sandbox.rootfs.source;
    };
    std::string proj = (root_ / "proj").native();
    EXPECT_EQ(source("./src"), proj + "/src");
    EXPECT_EQ(source("~/x"), proj + "/x");
    EXPECT_EQ(source("/abs//x/"), "/abs/x");
    EXPECT_EQ(source("src"), proj + "/src");
    EXPECT_EQ(source("nothing-there"), "nothing-there");
    EXPECT_EQ(source("alpine:3.20"), "alpine:3.20");
    EXPECT_EQ(source("library/alpine"), "library/alpine");
    EXPECT_EQ(source("tar+file://r.tar"), "tar+file://" + proj + "/r.tar");
    EXPECT_EQ(source("tar+file:///a/r.tar"), "tar+file:///a/r.tar");
    EXPECT_EQ(source("squashfs+file://~/r.img"), "squashfs+file://" + proj + "/r.img");
    EXPECT_EQ(source("tar+file://%23r.tar#sha256=0"), "tar+file://" + proj + "/%23r.tar#sha256=0");
    EXPECT_EQ(source("oci-layout:layout:v1/x"), "oci-layout:" + proj + "/layout:v1/x");
    EXPECT_EQ(source("oci-archive:../a.tar"), "oci-archive:" + root_.native() + "/a.tar");
    EXPECT_EQ(source("docker-archive:~/a%3Ab.tar:app:1"), "docker-archive:" + proj + "/a%3Ab.tar:app:1");
    EXPECT_EQ(source("docker-archive:/a.tar"), "docker-archive:/a.tar");
    EXPECT_EQ(source("docker-daemon:app:1"), "docker-daemon:app:1");
    EXPECT_EQ(source("tar+https://host/./a.tar"), "tar+https://host/./a.tar");
    EXPECT_EQ(source("https://host/?u=file://x"), "https://host/?u=file://x");
}

TEST_F(PathsTest, FolderOfTheManifestMayBeCalledAnything) {
    LoadRequest request;
    request.check_host = false;
    auto source = [&](std::string_view text) {
        request.sources = {{.name = "a.toml", .folder = "/a:b#c%41", .text = fmt::format("rootfs = \"{}\"\n", text)}};
        return load_request(request).sandbox.rootfs.source;
    };
    EXPECT_EQ(source("oci-layout:x:1"), "oci-layout:/a%3Ab#c%2541/x:1");
    EXPECT_EQ(source("tar+file://x.tar"), "tar+file:///a:b%23c%2541/x.tar");
    EXPECT_EQ(source("./x"), "/a:b#c%41/x");
}

TEST_F(PathsTest, HomePathsNeedAHome) {
    LoadRequest request;
    request.sources.push_back({.name = "a.toml", .folder = root_, .text = "rootfs = \"~/x\"\n"});
    EXPECT_EQ(load_request(request).error,
              "a.toml:1:10: error: \"~/x\": there is no home folder\n    rootfs = \"~/x\"\n             ^\n");
}

TEST_F(PathsTest, ManifestsAreReadFromFiles) {
    fs::path file = root_ / "proj/m.toml";
    std::ofstream(file) << "rootfs = \"./src\"\n";
    auto source = read_source(file);
    ASSERT_TRUE(source) << source.error().text();
    EXPECT_EQ(source->folder, root_ / "proj");
    EXPECT_EQ(source->name, file.native());
    EXPECT_EQ(source->text, "rootfs = \"./src\"\n");
    EXPECT_FALSE(read_source(root_ / "gone.toml"));
    EXPECT_FALSE(read_source(root_));
    std::ofstream(file) << std::string(kMaxManifestBytes + 1, ' ');
    auto large = read_source(file);
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, ErrorCode::bad_input);
}

}  // namespace
}  // namespace vmette::manifest
