#include <gtest/gtest.h>

#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

using testing::errors_of;
using testing::load_request;
using testing::load_text;
using testing::request_of;

TEST(SharesTest, ShortAndLongForms) {
    auto loaded =
        load_text("shares = [\"./src:/src\", \"~/out:/out/:rw\", { host = \"/data\", mode = \"overlay\" }]\n");
    ASSERT_EQ(loaded.error, "");
    ASSERT_EQ(loaded.sandbox.shares.size(), 3U);
    EXPECT_EQ(loaded.sandbox.shares[0], (Share{"src", "/proj/src", "/src", ShareMode::ro}));
    EXPECT_EQ(loaded.sandbox.shares[1], (Share{"out", "/home/u/out", "/out", ShareMode::rw}));
    EXPECT_EQ(loaded.sandbox.shares[2], (Share{"data", "/data", "/mnt/data", ShareMode::overlay}));
}

TEST(SharesTest, TagsAreMadeFromPathsAndUnique) {
    auto loaded = load_text(
        "shares = [\"./My Code!:/a\", \"x/src:/b\", \"y/src:/c\", \"./ctl:/d\", \"./日本:/e\", "
        "{ tag = \"src\", host = \"z\" }, \".:/f\"]\n");
    ASSERT_EQ(loaded.error, "");
    std::vector<std::string> tags;
    for (const Share& share : loaded.sandbox.shares) tags.push_back(share.tag);
    EXPECT_EQ(tags, (std::vector<std::string>{"my-code", "src-2", "src-3", "share-ctl", "share", "src", "proj"}));
    EXPECT_EQ(loaded.sandbox.shares[5].guest, "/mnt/src");
}

TEST(SharesTest, DuplicateTag) {
    EXPECT_EQ(errors_of("[[shares]]\ntag = \"src\"\nhost = \"./a\"\n[[shares]]\ntag = \"src\"\nhost = \"./b\"\n"
                        "guest = \"/b\"\n"),
              "agent.toml:6:7: error: shares[1].tag: another share has the tag \"src\"\n"
              "    tag = \"src\"\n"
              "          ^\n");
}

TEST(SharesTest, DuplicateGuestPathsOfSharesAndDisks) {
    EXPECT_EQ(errors_of("shares = [\"./a:/data\", \"./b:/data/\"]\ndisks = [{ path = \"d\", guest = \"//data\" }]\n"),
              "agent.toml:2:24: error: shares[1]: /data is already the guest path of shares[0]\n"
              "    shares = [\"./a:/data\", \"./b:/data/\"]\n"
              "                           ^\n"
              "\n"
              "agent.toml:3:32: error: disks[0]: /data is already the guest path of shares[0]\n"
              "    disks = [{ path = \"d\", guest = \"//data\" }]\n"
              "                                   ^\n");
}

TEST(SharesTest, ReservedAndMalformedTags) {
    for (std::string_view tag : {"rootfs", "ctl", "certs", "", "A", "-a", "a b", "abcdefghijklmnopqrstuvwxyz012345"}) {
        std::string error = errors_of(fmt::format("[[shares]]\ntag = \"{}\"\nhost = \"a\"\n", tag));
        EXPECT_NE(error.find("shares[0].tag must be a tag: lower-case letters"), std::string::npos) << tag << error;
    }
}

TEST(SharesTest, GuestPathsThatNobodyMayTake) {
    for (std::string_view guest :
         {"relative", "/", "//", "/./", "/a/../b", "/..", "/proc", "/proc/x", "/sys/", "/dev"}) {
        std::string error = errors_of(fmt::format("shares = [\"./a:{}\"]\n", guest));
        EXPECT_NE(error.find("shares[0].guest must be an absolute path in the guest"), std::string::npos) << guest;
    }
    EXPECT_EQ(load_text("shares = [\"./a://x/./y//\"]\n").sandbox.shares[0].guest, "/x/y");
    EXPECT_EQ(load_text("shares = [\"./a:/process\"]\n").error, "");
}

TEST(SharesTest, MalformedShortForms) {
    for (std::string_view text : {"", "a", ":/a", "a:", "a:/b:", "a:/b:ro:rw"})
        EXPECT_NE(errors_of(fmt::format("shares = [\"{}\"]\n", text)).find("must be HOST:GUEST[:ro|rw|overlay]"),
                  std::string::npos)
            << text;
}

TEST(SharesTest, HostIsRequired) {
    EXPECT_EQ(errors_of("[[shares]]\ntag = \"a\"\n[[disks]]\nread_only = true\n"),
              "agent.toml:2:1: error: shares[0].host is missing: a folder to share\n"
              "    [[shares]]\n"
              "    ^\n"
              "\n"
              "agent.toml:4:1: error: disks[0].path is missing: a disk image\n"
              "    [[disks]]\n"
              "    ^\n");
}

TEST(SharesTest, TheRootOfTheHostAndVmettesOwnFoldersAreRefused) {
    LoadRequest request = request_of(
        "rootfs = \"r\"\nshares = [\"/:/a\", \"~:/b\", \"~/.cache/vmette/images:/c\", "
        "\"~/.cache/vmette:/d\", \"~/.cache/vmette2:/e\"]\n");
    request.forbidden_shares = {"/home/u/.cache/vmette/"};
    auto result = load(request);
    ASSERT_FALSE(result);
    std::vector<std::string> messages;
    for (const Diagnostic& diagnostic : result.error()) messages.push_back(diagnostic.message);
    EXPECT_EQ(messages,
              (std::vector<std::string>{
                  "shares[0]: the whole file system of the host cannot be shared",
                  "shares[1]: /home/u holds vmette's own folder /home/u/.cache/vmette, which cannot be shared",
                  "shares[2]: /home/u/.cache/vmette/images lies in vmette's own folder /home/u/.cache/vmette, which "
                  "cannot be shared",
                  "shares[3]: /home/u/.cache/vmette lies in vmette's own folder /home/u/.cache/vmette, which cannot be "
                  "shared"}));
}

}  // namespace
}  // namespace vmette::manifest
