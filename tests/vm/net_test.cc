#include "vm/net.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
extern "C" {
#include <sys/pidfd.h>
}
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "base/layout.h"
#include "network_world.h"
#include "vm/net_rules.h"

namespace vmette::vm {
namespace {

constexpr std::uint16_t kPort = 8080;
/// A documentation address (RFC 5737) stands for the Internet, another for the host's own public address.
constexpr char kPublic[] = "203.0.113.5", kOwn[] = "203.0.113.77";

bool readable(int fd, int milliseconds) {
    pollfd wait{fd, POLLIN, 0};
    return ::poll(&wait, 1, milliseconds) == 1;
}

struct NetTest : testing::Test {
    static void SetUpTestSuite() {
        ::setenv("VMETTE_LIBEXEC_DIR", VMETTE_HELPER_DIR, 1);
        cannot = become_host(kOwn);
    }
    void SetUp() override {
        if (cannot) GTEST_SKIP() << *cannot;
        if (!find_program("slirp4netns") || !find_program("nft")) GTEST_SKIP() << "slirp4netns or nft is not installed";
    }
    static inline std::optional<std::string> cannot;
};

/// A network that is up, with a guest on it and servers behind it.
struct JoinedNetTest : NetTest {
    void SetUp() override {
        NetTest::SetUp();
        if (IsSkipped()) return;
        auto started = NetNamespace::start();
        ASSERT_TRUE(started) << started.error().text();
        net.emplace(std::move(*started));
        ASSERT_TRUE(readable(net->ready_fd(), 10'000));
        auto joined = net->joined();
        ASSERT_TRUE(joined) << joined.error().text();
        const auto& s = net->settings();
        auto made = FakeGuest::start(net->tap_fd(), s.address, s.gateway, s.prefix, s.mtu);
        ASSERT_TRUE(made) << made.error().text();
        guest = std::move(*made);
    }
    Servers web{kPort}, dns{53};
    std::optional<NetNamespace> net;
    std::unique_ptr<FakeGuest> guest;
};

TEST_F(JoinedNetTest, GuestReachesThePublicInternet) {
    EXPECT_EQ(guest->connect(kPublic, kPort), "connected");
    EXPECT_EQ(guest->ask(kPublic, kPort), "answered");
}

TEST_F(JoinedNetTest, GuestReachesNoPrivateLinkLocalOrLoopbackAddress) {
    for (const char* address : {
             "10.0.2.2",    // the gateway: QEMU's own user network would lead to the host's loopback
             "10.0.3.2",    // slirp4netns' gateway: the same
             "10.0.3.100",  // the namespace itself
             "10.0.3.3",    // the resolver behind it, past the translation
             "10.9.9.9", "100.64.0.9", "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.254",
             "192.0.0.192", "192.168.77.1", "198.18.0.1", "240.0.0.1",
             kOwn,  // the host's public address, behind its firewall
         })
        EXPECT_EQ(guest->connect(address, kPort), "ECONNREFUSED") << address;
}

TEST_F(JoinedNetTest, RefusedDatagramsFailAtOnce) {
    for (const char* address : {"10.9.9.9", "192.168.77.1", "169.254.169.254", kOwn, "10.0.2.2"})
        EXPECT_EQ(guest->ask(address, kPort), "EHOSTUNREACH") << address;
}

TEST_F(JoinedNetTest, ResolverAnswersOnItsPortAlone) {
    EXPECT_EQ(guest->ask(net->settings().dns, 53), "answered");
    EXPECT_EQ(guest->ask("10.0.3.3", 53), "EHOSTUNREACH");
    EXPECT_EQ(guest->ask("10.9.9.9", 53), "EHOSTUNREACH");
}

TEST_F(JoinedNetTest, RefusedTrafficIsCountedByTarget) {
    auto before = net->denied();
    ASSERT_TRUE(before) << before.error().text();
    EXPECT_THAT(before->targets, testing::Not(testing::Contains(testing::Field(&DeniedTarget::host, "10.9.9.9"))));
    guest->connect("10.9.9.9", kPort);
    guest->connect("10.9.9.9", kPort);
    guest->ask("192.168.77.1", 53);
    auto denied = net->denied();
    ASSERT_TRUE(denied) << denied.error().text();
    EXPECT_THAT(denied->targets, testing::IsSupersetOf({DeniedTarget{"10.9.9.9", "tcp", kPort, 2},
                                                        DeniedTarget{"192.168.77.1", "udp", 53, 1}}));
    EXPECT_GE(denied->packets, before->packets + 3);
}

TEST_F(JoinedNetTest, FullRecordOfTargetsKeepsTheTotalRight) {
    auto before = net->denied();
    ASSERT_TRUE(before);
    constexpr int kMore = 300;
    static_assert(kMore > kMaxDeniedTargets);
    for (int i = 0; i < kMore; ++i)
        EXPECT_EQ(guest->connect(fmt::format("10.9.{}.{}", i / 250, 1 + i % 250), kPort), "ECONNREFUSED");
    auto denied = net->denied();
    ASSERT_TRUE(denied) << denied.error().text();
    EXPECT_EQ(denied->targets.size(), kMaxDeniedTargets);
    EXPECT_GE(denied->packets, before->packets + kMore);
}

TEST_F(JoinedNetTest, DeathOfSlirpIsSeenAndCutsTheGuestOff) {
    ASSERT_TRUE(net->process().signal(SIGKILL));
    EXPECT_TRUE(readable(net->process().pidfd(), 5000));
    EXPECT_EQ(guest->connect(kPublic, kPort), "ENETUNREACH");
}

TEST_F(NetTest, TapIsThereWhileTheRestComesUp) {
    auto net = NetNamespace::start();
    ASSERT_TRUE(net) << net.error().text();
    EXPECT_GE(net->tap_fd(), 0);
    EXPECT_EQ(net->settings(), (NetSettings{"10.0.2.15", "10.0.2.2", "10.0.2.2", "52:54:00:76:6d:01", 24, 65520}));
    EXPECT_TRUE(identify_process(net->process().pid()));
}

TEST_F(NetTest, DestroyedNetworkLeavesNoProcess) {
    std::optional<ProcessIdentity> slirp;
    {
        auto net = NetNamespace::start();
        ASSERT_TRUE(net) << net.error().text();
        ASSERT_TRUE(readable(net->ready_fd(), 10'000));
        slirp = identify_process(net->process().pid());
        ASSERT_TRUE(slirp);
    }
    EXPECT_FALSE(is_alive(*slirp));
}

TEST_F(NetTest, KilledOwnerTakesSlirpAlong) {
    auto ends = make_pipe();
    ASSERT_TRUE(ends);
    pid_t owner = ::fork();
    if (owner == 0) {
        auto net = NetNamespace::start();
        if (!net || !readable(net->ready_fd(), 10'000) || !net->joined()) ::_exit(1);
        pid_t pid = net->process().pid();
        if (::write(ends->at(1).get(), &pid, sizeof pid) != sizeof pid) ::_exit(1);
        ::pause();
    }
    ends->at(1).reset();
    pid_t pid = 0;
    ASSERT_EQ(::read(ends->at(0).get(), &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
    auto slirp = identify_process(pid);
    ASSERT_TRUE(slirp);
    Fd watch(::pidfd_open(pid, 0));
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    EXPECT_TRUE(readable(watch.get(), 2000));
    EXPECT_FALSE(is_alive(*slirp));
}

/// Programs of the given names and shell texts, alone on PATH.
TempDir fake_programs(const std::vector<std::pair<std::string, std::string>>& programs) {
    TempDir folder = *TempDir::make();
    for (const auto& [name, text] : programs) {
        auto path = folder.path() / name;
        std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
        ::chmod(path.c_str(), 0700);
    }
    ::setenv("PATH", folder.path().c_str(), 1);
    return folder;
}

TEST_F(NetTest, WithoutRulesThereIsNoWayOut) {
    const std::string path = ::getenv("PATH");
    TempDir marks = *TempDir::make();
    auto mark = (marks.path() / "started").string();
    TempDir folder = fake_programs({{"nft", "echo 'Error: no such table' >&2; exit 1"}, {"slirp4netns", ": >" + mark}});
    auto net = NetNamespace::start();
    ::setenv("PATH", path.c_str(), 1);
    ASSERT_TRUE(net) << net.error().text();
    ASSERT_TRUE(readable(net->ready_fd(), 10'000));
    auto joined = net->joined();
    ASSERT_FALSE(joined);
    EXPECT_EQ(joined.error().code, ErrorCode::vm);
    EXPECT_EQ(joined.error().text(), "the guest's network did not come up: Error: no such table");
    EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST_F(NetTest, MissingProgramNamesItsPackage) {
    if (std::filesystem::exists("/usr/sbin/slirp4netns")) GTEST_SKIP() << "slirp4netns is in a folder always searched";
    const std::string path = ::getenv("PATH");
    TempDir folder = fake_programs({});
    auto net = NetNamespace::start();
    ::setenv("PATH", path.c_str(), 1);
    ASSERT_FALSE(net);
    EXPECT_EQ(net.error().code, ErrorCode::not_found);
    EXPECT_EQ(net.error().text(),
              "net.mode = \"nat\" needs slirp4netns, which is not installed (Debian package: slirp4netns)");
}

TEST(NetHelperTest, MissingHelperIsSaid) {
    ::setenv("VMETTE_LIBEXEC_DIR", "/nonexistent", 1);
    auto net = NetNamespace::start();
    ::setenv("VMETTE_LIBEXEC_DIR", VMETTE_HELPER_DIR, 1);
    if (net) GTEST_SKIP() << "the helper stands beside this test program";
    EXPECT_EQ(net.error().code, ErrorCode::not_found);
    EXPECT_THAT(net.error().text(), testing::StartsWith("vmette's helper program vmette-netns is missing (looked in "
                                                        "/nonexistent, "));
}

}  // namespace
}  // namespace vmette::vm
