#include "vm/net_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vm/net_denied.h"

namespace vmette::vm {
namespace {

TEST(NetRulesTest, WholeFileForOneHost) {
    NetPlan plan;
    plan.host_addresses = {"198.51.100.7", "203.0.113.77"};
    EXPECT_EQ(nat_rules(plan), R"(table inet vmette {
    counter denied { }
    set denied_targets {
        type ipv4_addr . inet_proto . inet_service
        size 256
        flags dynamic
    }
    set refused_networks {
        type ipv4_addr
        flags interval
        auto-merge
        elements = { 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 168.63.129.16/32, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/4, 240.0.0.0/4, 255.255.255.255/32 }
    }
    set host_addresses {
        type ipv4_addr
        flags interval
        auto-merge
        elements = { 198.51.100.7, 203.0.113.77 }
    }
    chain translate_dns {
        type nat hook prerouting priority dstnat; policy accept;
        iifname "vm0" ip daddr 10.0.2.2 udp dport 53 dnat ip to 10.0.3.3
        iifname "vm0" ip daddr 10.0.2.2 tcp dport 53 dnat ip to 10.0.3.3
    }
    chain leave {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "tap0" masquerade
    }
    chain refuse {
        meta l4proto { tcp, udp } update @denied_targets { ip daddr . meta l4proto . th dport counter }
        counter name denied
        meta l4proto tcp reject with tcp reset
        reject with icmpx admin-prohibited
    }
    chain from_guest {
        meta nfproto ipv6 drop
        ip saddr != 10.0.2.15 drop
        ct state invalid drop
        ct state new limit rate over 500/second burst 1000 packets drop
        ct status dnat oifname "tap0" accept
        ip daddr @refused_networks goto refuse
        ip daddr @host_addresses goto refuse
        oifname "tap0" accept
        goto refuse
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        iifname "vm0" goto from_guest
        iifname "tap0" oifname "vm0" ct state established,related accept
    }
    chain input {
        type filter hook input priority filter; policy drop;
        iifname "vm0" ip daddr 10.0.2.2 icmp type echo-request limit rate 100/second accept
        iifname "vm0" meta nfproto ipv4 goto refuse
    }
}
)");
}

TEST(NetRulesTest, HostWithoutAddressesHasAnEmptySet) {
    EXPECT_THAT(nat_rules({}), testing::HasSubstr("    set host_addresses {\n        type ipv4_addr\n"
                                                  "        flags interval\n        auto-merge\n    }\n"));
}

TEST(NetRulesTest, SlirpKeepsItsOwnSandboxAndTheHostsLoopbackShut) {
    EXPECT_THAT(slirp_arguments("/usr/bin/slirp4netns", {}),
                testing::ElementsAre("/usr/bin/slirp4netns", "--configure", "--mtu=65520", "--cidr=10.0.3.0/24",
                                     "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp", "--ready-fd=4",
                                     "--exit-fd=5", "--netns-type=path", "/proc/self/fd/6", "tap0"));
}

TEST(NetDeniedTest, ReadsTotalAndTargetsInOrder) {
    auto denied = parse_denied(R"({"nftables": [
        {"metainfo": {"version": "1.0.6"}}, {"counter": {"name": "denied", "packets": 9, "bytes": 540}},
        {"set": {"name": "refused_networks", "elem": [{"prefix": {"addr": "10.0.0.0", "len": 8}}]}},
        {"set": {"name": "denied_targets", "elem": [
            {"elem": {"val": {"concat": ["192.168.77.1", "udp", 53]}, "counter": {"packets": 2, "bytes": 120}}},
            {"elem": {"val": {"concat": ["10.9.9.9", "tcp", 80]}, "counter": {"packets": 7, "bytes": 420}}}]}}]})");
    ASSERT_TRUE(denied) << denied.error().text();
    EXPECT_EQ(denied->packets, 9U);
    EXPECT_THAT(denied->targets, testing::ElementsAre(DeniedTarget{"10.9.9.9", "tcp", 80, 7},
                                                      DeniedTarget{"192.168.77.1", "udp", 53, 2}));
}

TEST(NetDeniedTest, AnythingElseIsAnError) {
    for (const char* text : {"", "{}", "{\"nftables\": []}", "[1]",
                             R"({"nftables": [{"set": {"name": "denied_targets", "elem": [{"elem": 1}]}}]})"}) {
        auto denied = parse_denied(text);
        ASSERT_FALSE(denied) << text;
        EXPECT_EQ(denied.error().code, ErrorCode::vm);
    }
}

}  // namespace
}  // namespace vmette::vm
