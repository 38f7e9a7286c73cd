#include <gtest/gtest.h>

#include "manifest/full_manifest.h"
#include "manifest/load_helpers.h"

namespace vmette::manifest {
namespace {

TEST(AvailabilityTest, SaysEachThingThatIsNotThereYet) {
    auto loaded = testing::load_request(testing::request_of(std::string(testing::kFullManifest)));
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(not_available_yet(loaded.sandbox),
              (std::vector<std::string>{"net.mode = \"allowlist\" is not available yet", "ports is not available yet",
                                        "secrets.FILE.file is not available yet",
                                        "secrets.FILE.expose = \"file\" is not available yet",
                                        "snapshot.setup is not available yet"}));
}

TEST(AvailabilityTest, WhatIsThereIsNotRefused) {
    auto loaded = testing::load_text(
        "shares = [\"./a:/a:overlay\"]\n[net]\nmode = \"nat\"\n[secrets]\nKEY = { env = \"KEY\" }\n[snapshot]\nwarm = "
        "true\n"
        "[vm]\nvsock = 4000\naccel = \"kvm\"\n[[disks]]\npath = \"d\"\n[[artifacts]]\npath = \"/out\"\n");
    ASSERT_EQ(loaded.error, "");
    EXPECT_EQ(not_available_yet(loaded.sandbox), std::vector<std::string>{});
}

}  // namespace
}  // namespace vmette::manifest
