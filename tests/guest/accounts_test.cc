#include "guest/init/accounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vmette::guest {
namespace {

constexpr char kPasswd[] =
    "root:x:0:0:root:/root:/bin/sh\n"
    "broken line\n"
    "nonumber:x:abc:1::/:/bin/sh\n"
    "huge:x:4294967296:1::/:/bin/sh\n"
    "agent:x:1000:1001:An Agent:/home/agent:/bin/sh\n"
    "relative:x:1002:1002::home:/bin/sh";
constexpr char kGroup[] =
    "root:x:0:\n"
    "::\n"
    "audio:x:29:other,agent\n"
    "agents:x:1001:\n"
    "video:x:44:agent\n"
    "agentx:x:45:agentx\n";

Outcome<Account> find(std::string_view user) { return find_account(user, kPasswd, kGroup); }

TEST(AccountsTest, NameGivesIdsHomeAndSupplementaryGroups) {
    auto account = find("agent");
    ASSERT_TRUE(account.has_value());
    EXPECT_EQ(account->uid, 1000U);
    EXPECT_EQ(account->gid, 1001U);
    EXPECT_EQ(account->home, "/home/agent");
    EXPECT_THAT(account->groups, ::testing::ElementsAre(29U, 44U));
}

TEST(AccountsTest, NumberIsLookedUpToo) {
    auto account = find("1000");
    ASSERT_TRUE(account.has_value());
    EXPECT_EQ(account->gid, 1001U);
    EXPECT_EQ(account->home, "/home/agent");
}

TEST(AccountsTest, NumberNeedsNoEntry) {
    auto account = find("4242");
    ASSERT_TRUE(account.has_value());
    EXPECT_EQ(account->uid, 4242U);
    EXPECT_EQ(account->gid, 0U);
    EXPECT_EQ(account->home, "/");
    EXPECT_TRUE(account->groups.empty());
}

TEST(AccountsTest, NamedGroupReplacesTheOthers) {
    auto by_name = find("agent:audio");
    ASSERT_TRUE(by_name.has_value());
    EXPECT_EQ(by_name->gid, 29U);
    EXPECT_TRUE(by_name->groups.empty());
    auto by_number = find("agent:7");
    ASSERT_TRUE(by_number.has_value());
    EXPECT_EQ(by_number->gid, 7U);
}

TEST(AccountsTest, EmptyIsRootEvenInAnImageWithoutAccounts) {
    auto account = find_account("", "", "");
    ASSERT_TRUE(account.has_value());
    EXPECT_EQ(account->uid, 0U);
    EXPECT_EQ(account->home, "/root");
}

TEST(AccountsTest, UnknownNamesAreRefusedByName) {
    EXPECT_EQ(find("nobody").error(), "no user \"nobody\" in the image's /etc/passwd");
    EXPECT_EQ(find("agent:nogroup").error(), "no group \"nogroup\" in the image's /etc/group");
}

TEST(AccountsTest, LinesThatDoNotParseAreNobody) {
    EXPECT_FALSE(find("nonumber").has_value());
    EXPECT_FALSE(find("huge").has_value());
    EXPECT_FALSE(find("broken line").has_value());
}

TEST(AccountsTest, MinusOneIsNoId) {
    EXPECT_FALSE(find("4294967295").has_value());
    EXPECT_TRUE(find("4294967294").has_value());
}

TEST(AccountsTest, RelativeHomeIsNotTaken) { EXPECT_EQ(find("relative")->home, "/"); }

}  // namespace
}  // namespace vmette::guest
