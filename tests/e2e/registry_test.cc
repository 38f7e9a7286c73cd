/// Images from a real registry (tests/registry), run as `docker run` would run them.

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>

#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

class RegistryTest : public ::testing::Test {
protected:
    void SetUp() override {
        const char* named = std::getenv("VMETTE_TEST_REGISTRY");
        std::filesystem::path folder = named != nullptr ? named : build_dir() / "registry";
        std::ifstream(folder / "address") >> registry_;
        if (registry_.empty()) GTEST_SKIP() << "no registry is up: tests/registry up starts one";
    }
    std::string image(const std::string& name) const { return registry_ + "/" + name; }
    Json inspect(VmetteHome& home, const std::string& name) const {
        return Json::parse(home.vmette({"image", "inspect", image(name), "--json"}).out);
    }

    std::string registry_;
};

class RegistryGuestTest : public RegistryTest {
protected:
    void SetUp() override {
        VMETTE_NEEDS_GUEST();
        RegistryTest::SetUp();
    }
};

TEST_F(RegistryTest, PulledOnceAndThenFromTheCache) {
    VmetteHome home(Cache::own);
    auto first = home.vmette({"image", "pull", image("busybox"), image("busybox:latest"), "--json"});
    ASSERT_EQ(first.code, 0) << first;
    Json pulled = Json::parse(first.out);
    ASSERT_EQ(pulled.size(), 2u);
    EXPECT_EQ(pulled[0]["digest"], pulled[1]["digest"]);
    EXPECT_EQ(pulled[0]["source"], image("busybox:latest"));

    Json known = inspect(home, "busybox");
    EXPECT_EQ(known["config"]["entrypoint"], Json::array({"/bin/echo"}));
    EXPECT_EQ(known["config"]["cmd"], Json::array({"from the image"}));
    EXPECT_EQ(known["in_use"], false);
    EXPECT_TRUE(std::filesystem::is_empty(home.layout().layers_dir()));

    auto verified = home.vmette({"image", "verify"});
    EXPECT_EQ(verified.code, 0) << verified;
    EXPECT_THAT(home.vmette({"image", "prune", "--all", "--dry-run"}).out, StartsWith("would remove "));
    EXPECT_EQ(home.vmette({"image", "rm", image("busybox")}).code, 0);
    EXPECT_EQ(home.vmette({"image", "ls", "--json"}).out, "[]\n");
}

TEST_F(RegistryTest, SameLayersInAnotherCompressionAreTheSameImage) {
    VmetteHome home(Cache::own);
    auto both = home.vmette({"image", "pull", image("python"), image("python:zstd")});
    ASSERT_EQ(both.code, 0) << both;
    auto line = both.out.find('\n');
    EXPECT_EQ(both.out.substr(0, line + 1), both.out.substr(line + 1));
}

/// Type, mode, owner, size, links, target, attributes and content of all that is in two trees must be the same. A
/// folder's own size and links are its filesystem's business.
TEST_F(RegistryTest, TreeIsTheOneThatUmociUnpacks) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to unpack owners and devices";
    VmetteHome home(Cache::own);
    ASSERT_EQ(home.vmette({"image", "pull", image("python")}).code, 0);
    const std::string script = R"(set -e
        unsquashfs -quiet -no-progress -d ours "$1" >/dev/null
        skopeo copy --quiet --src-tls-verify=false "docker://$2" oci:layout:x
        umoci unpack --image layout:x bundle >/dev/null 2>&1
        for tree in ours bundle/rootfs; do (
            cd $tree
            find . ! -type d -printf '%P|%y|%m|%U|%G|%s|%n|%l|%T@\n'
            find . -type d -printf '%P|%y|%m|%U|%G\n'
            find . -type f -print0 | xargs -0 sha256sum
            getfattr -R -h -d -m - -e hex . 2>/dev/null
        ) | sed 's/\.0*$//' | sort >$(basename $tree).txt; done
        wc -l <ours.txt
        diff ours.txt rootfs.txt | head -n 20)";
    Json known = inspect(home, "python");
    ProcessSpec spec;
    spec.argv = {"sh",
                 "-c",
                 "cd \"$0\"; " + script,
                 home.folder().string(),
                 known["path"].get<std::string>(),
                 image("python:latest")};
    auto compared = run_captured(spec, std::chrono::seconds(120));
    ASSERT_TRUE(compared) << compared.error().text();
    EXPECT_TRUE(compared->ok()) << compared->err;
    EXPECT_GT(std::atoi(compared->out.c_str()), 5000) << compared->out;
    EXPECT_EQ(compared->out.find('\n'), compared->out.size() - 1) << compared->out;
}

TEST_F(RegistryTest, WhatIsNotThereIsSaidByName) {
    VmetteHome home(Cache::own);
    auto gone = home.vmette({"image", "pull", image("nothing:here")});
    EXPECT_EQ(gone.code, 1) << gone;
    EXPECT_THAT(gone.err, HasSubstr(image("nothing:here")));
    EXPECT_EQ(home.vmette({"image", "ls", "--json"}).out, "[]\n");
}

TEST_F(RegistryTest, TwentyProcessesPullOneImage) {
    VmetteHome home(Cache::own);
    std::vector<VmetteProcess> pulls;
    for (int i = 0; i < 20; ++i) pulls.push_back(home.start({"image", "pull", image("python"), "--missing"}));
    std::set<std::string> digests;
    for (auto& pull : pulls) {
        auto finished = pull.finish(std::chrono::seconds(60));
        EXPECT_EQ(finished.code, 0) << finished;
        digests.insert(finished.out);
    }
    EXPECT_EQ(digests.size(), 1u);
    EXPECT_TRUE(std::filesystem::is_empty(home.layout().layers_dir()));
}

TEST_F(RegistryTest, KilledPullLeavesNothingThatIsTakenForWhole) {
    VmetteHome home(Cache::own);
    for (int time = 0; time < 10; ++time) {
        auto pull = home.start({"image", "pull", image("python")});
        ::usleep(static_cast<useconds_t>(time) * 150'000 + 20'000);
        pull.signal(SIGKILL);
        pull.finish(std::chrono::seconds(10));
    }
    auto whole = home.vmette({"image", "pull", image("python")});
    ASSERT_EQ(whole.code, 0) << whole;
    VmetteHome clean(Cache::own);
    EXPECT_EQ(whole.out, clean.vmette({"image", "pull", image("python")}).out);
    EXPECT_EQ(home.vmette({"image", "verify"}).code, 0);
}

TEST_F(RegistryGuestTest, PythonOfARegistryRuns) {
    VmetteHome home(Cache::own);
    auto asked = home.vmette({"run", image("python:latest"), "--", "python3", "-c", "print(2**32)"});
    EXPECT_EQ(asked.code, 0) << asked;
    EXPECT_EQ(asked.out, "4294967296\n");

    // Its own command, as its own user in its own folder, and without the network.
    auto own = home.vmette({"run", image("python"), "--offline"});
    EXPECT_EQ(own.code, 0) << own;
    EXPECT_THAT(own.out, AllOf(StartsWith("python 3."), EndsWith(" 4294967296\n")));
    auto where = home.vmette({"run", image("python"), "--", "sh", "-c", "id -u; pwd; echo $GREETING"});
    EXPECT_EQ(where.out, "1000\n/app\nhello\n") << where;
    Json run = home.last_run();
    EXPECT_EQ(run["image"]["provider"], "oci");
    EXPECT_EQ(inspect(home, "python")["runs"].size(), 3u);
}

TEST_F(RegistryGuestTest, IndexGivesTheImageOfThisMachine) {
    VmetteHome home(Cache::own);
    EXPECT_EQ(home.vmette({"run", image("multi")}).out, "from the image\n");
}

}  // namespace
}  // namespace vmette::testing
