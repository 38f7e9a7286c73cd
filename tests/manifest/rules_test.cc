#include <gtest/gtest.h>

#include "manifest/short_forms.h"
#include "manifest/text_rules.h"

namespace vmette::manifest {
namespace {

TEST(RulesTest, Users) {
    for (std::string_view good : {"root", "_apt", "www-data", "0", "1000:1000", "4294967294"})
        EXPECT_TRUE(kUserRule.fits(good)) << good;
    for (std::string_view bad : {"", ":", "1:", ":1", "root:0", "1000:users", "4294967295", "-1", "a b", "1x", "a:b:c"})
        EXPECT_FALSE(kUserRule.fits(bad)) << bad;
}

TEST(RulesTest, NamesOfSandboxesVariablesAndLabels) {
    EXPECT_TRUE(kNameRule.fits("a.b_c-1"));
    EXPECT_FALSE(kNameRule.fits(".a"));
    EXPECT_FALSE(kNameRule.fits("A"));
    EXPECT_TRUE(kNameRule.fits(std::string(63, 'a')));
    EXPECT_FALSE(kNameRule.fits(std::string(64, 'a')));
    EXPECT_TRUE(kEnvNameRule.fits("_A1"));
    EXPECT_FALSE(kEnvNameRule.fits("1A"));
    EXPECT_FALSE(kEnvNameRule.fits("A=B"));
    EXPECT_FALSE(kEnvNameRule.fits("Ä"));
    EXPECT_TRUE(kLabelRule.fits("example.org/Team"));
    EXPECT_FALSE(kLabelRule.fits("a=b"));
}

TEST(RulesTest, KernelParametersAreOneLine) {
    EXPECT_TRUE(kOneLineRule.fits(""));
    EXPECT_TRUE(kOneLineRule.fits("a b=c"));
    EXPECT_FALSE(kOneLineRule.fits("a\nb"));
    EXPECT_FALSE(kOneLineRule.fits(std::string(1025, 'a')));
}

TEST(RulesTest, GuestPathsAreNormalised) {
    EXPECT_EQ(normal_guest_path("/"), "/");
    EXPECT_EQ(normal_guest_path("//a/./b///c/"), "/a/b/c");
    EXPECT_FALSE(kGuestDirRule.fits("/a/.."));
    EXPECT_TRUE(kGuestDirRule.fits("/a/..b/c.."));
    EXPECT_TRUE(kGuestDirRule.fits("/"));
    EXPECT_FALSE(kMountRule.fits("/./"));
}

TEST(PortTextTest, RoundTrips) {
    for (std::string_view text :
         {"127.0.0.1:8080:80", "0.0.0.0:1:65535/udp", "[::1]:53:5353/udp", "[2001:db8::1]:1:1"}) {
        auto port = parse_port(text);
        ASSERT_TRUE(port) << text;
        EXPECT_EQ(format_port(*port), text);
    }
    EXPECT_EQ(format_port(*parse_port("8080:80/tcp")), "127.0.0.1:8080:80");
}

TEST(PortTextTest, RefusesWhatIsNone) {
    for (std::string_view text :
         {"", "80", ":80", "80:", "0:80", "80:0", "65536:80", "80:80/sctp", "::1:80:80", "[::1]:80", "[::1:80:80",
          "[127.0.0.1]:80:80", "localhost:80:80", "1.2.3:80:80", "80:+80", "80: 80", "[::1]x:80:80", ":80:80", "-1:80"})
        EXPECT_FALSE(parse_port(text)) << text;
}

TEST(AllowTextTest, SplitsNamesAddressesAndPorts) {
    EXPECT_EQ(parse_allow("PyPI.org"), (AllowRule{"pypi.org", {}}));
    EXPECT_EQ(parse_allow("*.debian.org:443"), (AllowRule{"*.debian.org", 443}));
    EXPECT_EQ(parse_allow("10.0.0.0/8"), (AllowRule{"10.0.0.0/8", {}}));
    EXPECT_EQ(parse_allow("1.2.3.4:22"), (AllowRule{"1.2.3.4", 22}));
    EXPECT_EQ(parse_allow("2001:db8::1"), (AllowRule{"2001:db8::1", {}}));
    EXPECT_EQ(parse_allow("2001:db8::/32"), (AllowRule{"2001:db8::/32", {}}));
    EXPECT_EQ(parse_allow("[2001:db8::1]"), (AllowRule{"2001:db8::1", {}}));
    EXPECT_EQ(parse_allow("[2001:db8::/32]:8443"), (AllowRule{"2001:db8::/32", 8443}));
    EXPECT_EQ(parse_allow("localhost"), (AllowRule{"localhost", {}}));
}

TEST(AllowTextTest, RefusesWhatIsNone) {
    for (std::string_view text :
         {"",           "*",       "*.",      "*.*.org",      "a.*.org",     "a..b",        ".a",
          "a.",         "-a.org",  "a_.org-", "1.2.3",        "1.2.3.256",   "1.2.3.4/33",  "1.2.3.4/",
          "1.2.3.4/-1", "a.org/8", "a.org:",  "a.org:0",      "a.org:70000", "a.org:80:80", "[::1",
          "[a.org]:80", "[::1]80", "::1/129", "http://a.org", "a org",       "ä.org"})
        EXPECT_FALSE(parse_allow(text)) << text;
}

}  // namespace
}  // namespace vmette::manifest
