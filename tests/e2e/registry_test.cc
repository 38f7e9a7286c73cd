/// Images from a real registry (tests/registry), run as `docker run` would run them.

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>

#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

class RegistryTest : public ::testing::Test {
protected:
    void SetUp() override {
        const char* named = std::getenv("VMETTE_TEST_REGISTRY");
        folder_ = named != nullptr ? named : build_dir() / "registry";
        std::ifstream(folder_ / "address") >> registry_;
        if (registry_.empty()) GTEST_SKIP() << "no registry is up: tests/registry up starts one";
    }
    std::string image(const std::string& name) const { return registry_ + "/" + name; }
    Json inspect(VmetteHome& home, const std::string& name) const {
        return Json::parse(home.vmette({"image", "inspect", image(name), "--json"}).out);
    }

    std::filesystem::path folder_;
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
    EXPECT_THAT(home.vmette({"image", "prune", "--all", "--dry-run"}).out, HasSubstr("would remove 1.1 MiB in all"));
    EXPECT_EQ(home.vmette({"image", "rm", image("busybox")}).code, 0);
    EXPECT_EQ(home.vmette({"image", "ls", "--json"}).out, "[]\n");
}

TEST_F(RegistryTest, SameLayersInAnotherCompressionAreTheSameImage) {
    VmetteHome home(Cache::own);
    auto both = home.vmette({"image", "pull", image("python"), image("python:zstd"), "--json"});
    ASSERT_EQ(both.code, 0) << both;
    Json pulled = Json::parse(both.out);
    EXPECT_EQ(pulled[0]["digest"], pulled[1]["digest"]);
    EXPECT_NE(pulled[0]["sources"][0]["registry_digest"], pulled[0]["sources"][1]["registry_digest"]);

    auto untagged = home.vmette({"image", "rm", image("python")});
    EXPECT_EQ(untagged.out, "untagged " + image("python:latest") + "\n");
    EXPECT_EQ(inspect(home, "python:zstd")["digest"], pulled[0]["digest"]);
    EXPECT_THAT(home.vmette({"image", "rm", image("python:zstd")}).out, HasSubstr("\nremoved sha256:"));
}

TEST_F(RegistryTest, PrintedDigestNamesTheImageInItsRegistry) {
    VmetteHome home(Cache::own), other(Cache::own);
    auto pulled = home.vmette({"image", "pull", image("busybox")});
    ASSERT_EQ(pulled.code, 0) << pulled;
    std::string digest = pulled.out.substr(0, pulled.out.find('\n'));
    Json known = inspect(home, "busybox");
    EXPECT_EQ(known["registry_digest"], digest);
    EXPECT_NE(known["digest"], digest);
    EXPECT_THAT(home.vmette({"image", "ls"}).out,
                AllOf(HasSubstr(digest.substr(7, 12)), HasSubstr(known["digest"].get<std::string>().substr(7, 12))));
    EXPECT_EQ(home.vmette({"image", "inspect", digest}).code, 0);
    auto pinned = other.vmette({"image", "pull", image("busybox@" + digest)});
    EXPECT_EQ(pinned.out, pulled.out) << pinned;
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
    EXPECT_THAT(gone.err, HasSubstr("its name or its tag may be spelt wrong"));
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

TEST_F(RegistryTest, PullKilledAtRandomPointsLeavesNothingThatIsTakenForWhole) {
    VmetteHome clean(Cache::own);
    auto undisturbed = clean.vmette({"image", "pull", image("python")});
    ASSERT_EQ(undisturbed.code, 0) << undisturbed;
    auto seed = std::random_device()();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::uniform_int_distribution<Duration::rep> point(0, undisturbed.took.count());
    VmetteHome home(Cache::own);
    int killed = 0;
    for (int time = 0; time < 10; ++time) {
        auto pull = home.start({"image", "pull", image("python")});
        pull.until([] { return false; }, Duration(point(random)));
        pull.signal(SIGKILL);
        if (pull.finish(std::chrono::seconds(10)).signal == SIGKILL)
            ++killed;
        else  // It was whole already; the next would have nothing to do.
            ASSERT_EQ(home.vmette({"image", "prune", "--all"}).code, 0);
    }
    EXPECT_GE(killed, 1);
    auto whole = home.vmette({"image", "pull", image("python")});
    ASSERT_EQ(whole.code, 0) << whole;
    EXPECT_EQ(whole.out, undisturbed.out);
    EXPECT_EQ(home.vmette({"image", "verify"}).code, 0);
    EXPECT_TRUE(std::filesystem::is_empty(home.layout().layers_dir()));
}

/// A second registry over the same images, which the test may take down.
class RegistryOfItsOwn {
public:
    RegistryOfItsOwn(const std::filesystem::path& data, const VmetteHome& home) {
        auto config = home.write("registry.yml", fmt::format("version: 0.1\n"
                                                             "log: {{accesslog: {{disabled: true}}, level: info}}\n"
                                                             "storage: {{filesystem: {{rootdirectory: {}}}}}\n"
                                                             "http: {{addr: \"127.0.0.1:0\"}}\n",
                                                             data.string()));
        auto said = make_pipe();
        ProcessSpec spec;
        spec.argv = {"docker-registry", "serve", config.string()};
        spec.descriptors = {{(*said)[1].get(), STDERR_FILENO}};
        auto started = spawn(spec);
        EXPECT_TRUE(started) << started.error().text();
        if (!started) return;
        process_ = *std::move(started);
        (*said)[1].reset();
        said_ = std::move((*said)[0]);
        const std::string_view mark = "listening on ";
        std::string text;
        char byte = 0;
        while (::read(said_.get(), &byte, 1) == 1) {
            text += byte;
            auto at = text.find(mark);
            auto end = at != text.npos ? text.find_first_of("\" \n", at + mark.size()) : text.npos;
            if (end == text.npos) continue;
            address_ = text.substr(at + mark.size(), end - at - mark.size());
            return;
        }
        ADD_FAILURE() << "docker-registry does not start: " << text;
    }
    const std::string& address() const { return address_; }
    void take_down() { process_.kill(); }

private:
    Process process_;
    Fd said_;
    std::string address_;
};

TEST_F(RegistryGuestTest, OfflineRunsFromTheCacheWithTheRegistryDown) {
    VmetteHome home(Cache::own);
    RegistryOfItsOwn registry(folder_ / "data", home);
    std::string busybox = registry.address() + "/busybox", python = registry.address() + "/python";
    auto pulled = home.vmette({"image", "pull", busybox});
    ASSERT_EQ(pulled.code, 0) << pulled;
    registry.take_down();

    auto offline = home.vmette({"run", "--offline", busybox});
    EXPECT_EQ(offline.code, 0) << offline;
    EXPECT_EQ(offline.out, "from the image\n");
    auto missing = home.vmette({"run", "--offline", python});
    EXPECT_NE(missing.code, 0) << missing;
    EXPECT_THAT(missing.err, HasSubstr("not in the cache, and the network is ruled out"));
    // What is not cached cannot be had, and who asks for a look is told that there is nobody to be asked.
    auto online = home.vmette({"run", python});
    EXPECT_NE(online.code, 0) << online;
    EXPECT_THAT(online.err, HasSubstr(python));
    EXPECT_EQ(home.vmette({"image", "pull", busybox}).code, 1);
    EXPECT_EQ(home.vmette({"run", "--offline", busybox}).out, "from the image\n");
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
