/// Images as podman and buildah write them into files: every archive of theirs runs as the image it holds.

#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

/// Two images made by buildah in a storage of the test's own: "one" is busybox; "two" has a file, an environment and a
/// command on top of it.
class ArchivesTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (IsSkipped()) return;
        if (::geteuid() != 0) GTEST_SKIP() << "images are made by root alone";
        for (const char* program : {"podman", "buildah", "unsquashfs"})
            if (!find_program(program)) GTEST_SKIP() << program << " is not installed";
        sh(R"sh(
            unsquashfs -q -n -d tree "$1" >/dev/null
            base="$(buildah $storage from scratch)"
            buildah $storage copy --quiet "$base" tree / >/dev/null
            buildah $storage commit --quiet "$base" localhost/acme/one:1 >/dev/null
            echo second >file
            more="$(buildah $storage from localhost/acme/one:1)"
            buildah $storage copy --quiet "$more" file /etc/second >/dev/null
            buildah $storage config --env GREETING=hello --cmd '["sh","-c","echo $GREETING; cat /etc/second"]' "$more"
            buildah $storage commit --quiet "$more" localhost/acme/two:2 >/dev/null)sh");
    }

    /// Runs it in the home's folder, with the options of both programs for the storage in $storage.
    void sh(const std::string& script) {
        auto storage =
            fmt::format("--root {0}/storage --runroot {0}/storage-run --storage-driver vfs", home().folder().string());
        ProcessSpec spec;
        spec.argv = {
            "sh",   "-euc", "cd \"$0\"; storage=\"$2\"; " + script, home().folder().string(), busybox_image().string(),
            storage};
        auto done = run_captured(spec, seconds(60));
        ASSERT_TRUE(done && done->ok()) << (done ? done->err : done.error().text());
    }

    /// What the image's own command says, and what one of ours finds.
    void expect_two(const std::string& source) {
        SCOPED_TRACE(source);
        auto at = source.find(':') + 1;
        auto there = source.substr(0, at) + (home().folder() / source.substr(at)).string();
        auto own = home().vmette({"run", there, "--memory", "128M", "--scratch", "0"});
        EXPECT_EQ(own.code, 0) << own;
        EXPECT_EQ(own.out, "hello\nsecond\n");
        auto ours = home().vmette({"run", there, "--memory", "128M", "--scratch", "0", "--", "ls", "/etc/second"});
        EXPECT_EQ(ours.code, 0) << ours;
        EXPECT_EQ(ours.out, "/etc/second\n");
        EXPECT_EQ(home().last_run()["image"]["provider"], "oci");
    }
};

TEST_F(ArchivesTest, PodmansArchivesRun) {
    ASSERT_NO_FATAL_FAILURE(sh(R"(
        podman $storage save --quiet -o docker.tar localhost/acme/two:2
        podman $storage save --quiet --format oci-archive -o oci.tar localhost/acme/two:2
        podman $storage save --quiet --format oci-dir -o layout localhost/acme/two:2
        gzip -k docker.tar)"));
    for (const char* source : {"docker-archive:docker.tar", "docker-archive:docker.tar:localhost/acme/two:2",
                               "docker-archive:docker.tar.gz", "oci-archive:oci.tar", "oci-layout:layout"})
        expect_two(source);
}

TEST_F(ArchivesTest, BuildahsArchivesRun) {
    ASSERT_NO_FATAL_FAILURE(sh(R"(
        buildah $storage push --quiet localhost/acme/two:2 docker-archive:docker.tar:localhost/acme/two:2
        buildah $storage push --quiet localhost/acme/two:2 oci-archive:oci.tar:two
        buildah $storage push --quiet --compression-format zstd localhost/acme/two:2 oci:layout:two)"));
    for (const char* source :
         {"docker-archive:docker.tar", "oci-archive:oci.tar", "oci-archive:oci.tar:two", "oci-layout:layout:two"})
        expect_two(source);
}

TEST_F(ArchivesTest, OneOfSeveralImagesIsNamed) {
    ASSERT_NO_FATAL_FAILURE(
        sh("podman $storage save --quiet -m -o both.tar localhost/acme/one:1 localhost/acme/two:2"));
    expect_two("docker-archive:both.tar:localhost/acme/two:2");
    auto both = "docker-archive:" + (home().folder() / "both.tar").string();
    auto unnamed = home().vmette({"run", both, "--", "true"});
    EXPECT_EQ(unnamed.code, 125) << unnamed;
    EXPECT_THAT(unnamed.err, HasSubstr("holds several images, of which one must be named: localhost/acme/one:1, "
                                       "localhost/acme/two:2"));
    auto other = home().vmette({"run", both + ":localhost/acme/one:1", "--", "ls", "/etc/second"});
    EXPECT_EQ(other.code, 1) << other;
}

}  // namespace
}  // namespace vmette::testing
