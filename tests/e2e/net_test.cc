#include <fstream>

#include "e2e/guest_fixture.h"

namespace vmette::testing {
namespace {

using std::chrono::seconds;

class NetTest : public GuestTest {
protected:
    void SetUp() override {
        GuestTest::SetUp();
        if (IsSkipped()) return;
        if (auto why = why_no_nat(); !why.empty()) GTEST_SKIP() << why;
    }
    /// A line that says "NAME open" or "NAME refused" for a web server at this address.
    static std::string knock(const std::string& name, const std::string& address) {
        return fmt::format(
            "printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {} 8080 | grep -q marhaba && "
            "echo {} open || echo {} refused; ",
            address, name, name);
    }
    /// A run in the network of net_lab.
    Finished in_lab(const std::string& line) {
        auto web = home().folder() / "web";
        EXPECT_TRUE(make_private_dir(web));
        std::ofstream(web / "hello") << "marhaba\n";
        std::vector<std::string> lab{
            "unshare", "-rnpf", "--kill-child", "--mount-proc", source_dir() / "tests/e2e/net_lab", web};
        return home().vmette(home().up_shell("[net]\nmode = \"nat\"\n", line), seconds(60), {.wrapper = lab});
    }
};

using NoNetTest = GuestTest;

TEST_F(NoNetTest, ThereIsNoneByDefault) {
    auto finished =
        shell("ls /sys/class/net; cat /proc/net/route | wc -l; nc -w 1 10.0.2.2 80 </dev/null || echo no way");
    EXPECT_EQ(finished.out, "lo\n1\nno way\n") << finished;
    EXPECT_EQ(home().last_run()["net"]["mode"], "none");
}

TEST_F(NetTest, NatReachesThePublicAndNeitherTheHostNorPrivateAddresses) {
    auto finished =
        in_lab(knock("public", "11.9.8.7") + knock("private", "10.200.0.7") + knock("gateway", "10.0.2.2") +
               knock("host", "11.9.8.1") + knock("host-private", "10.200.0.1") + knock("metadata", "169.254.169.254") +
               knock("resolver", "10.0.2.3") + knock("outer", "10.0.3.2") + "true");
    EXPECT_EQ(finished.code, 0) << finished;
    EXPECT_EQ(finished.out,
              "public open\nprivate refused\ngateway refused\nhost refused\nhost-private refused\nmetadata refused\n"
              "resolver refused\nouter refused\n")
        << finished;
    Json run = home().last_run();
    EXPECT_EQ(run["net"]["mode"], "nat");
    EXPECT_GT(run["usage"]["net_tx_bytes"].get<std::uint64_t>(), 0u);
    // What was refused is in the history.
    bool noted = false;
    for (const auto& denied : run["net"]["denied"]) noted |= denied["host"] == "10.200.0.7" && denied["port"] == 8080;
    EXPECT_TRUE(noted) << run["net"];
}

TEST_F(NetTest, GuestCannotTalkItsWayAround) {
    // Another address of its own, a route through the gateway, IPv6: the rules hold on the host's side.
    auto finished = in_lab(
        "ip addr add 10.200.0.99/24 dev eth0; ip route add 11.9.8.1/32 via 10.0.2.2; "
        "ip -6 addr add fe80::99/64 dev eth0; " +
        knock("private", "10.200.0.7") + knock("host", "11.9.8.1") + "true");
    EXPECT_EQ(finished.out, "private refused\nhost refused\n") << finished;
}

TEST_F(NetTest, InterfaceAndResolverAreConfigured) {
    auto finished = in_lab(
        "ip -4 addr show dev eth0 | grep -o 'inet [0-9.]*'; ip route | grep -c default; "
        "grep -c nameserver /etc/resolv.conf; grep -c '^127.0.0.1.*localhost' /etc/hosts");
    EXPECT_THAT(finished.out, StartsWith("inet 10.0.2.")) << finished;
    EXPECT_THAT(finished.out, EndsWith("\n1\n1\n1\n")) << finished;
}

}  // namespace
}  // namespace vmette::testing
