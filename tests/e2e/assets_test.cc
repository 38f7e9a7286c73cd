/// Tests that boot guests say SKIPPED where there is none to boot. Where every change is checked that must not happen.

#include <gtest/gtest.h>

#include <cstdlib>

#include "support/vmette_home.h"

namespace vmette::testing {
namespace {

TEST(GuestAssetsTest, AreThereWhereChangesAreChecked) {
    auto why = why_no_guest();
    if (why.empty()) return;
    const char* checked = std::getenv("CI");
    if (checked != nullptr && std::string_view(checked) == "true") FAIL() << "no guest was booted: " << why;
    GTEST_SKIP() << why;
}

TEST(GuestAssetsTest, KernelThatOthersCouldHaveMadeIsNotUsed) {
    VmetteHome home(Cache::own);
    auto build = home.folder() / "build", kernels = home.layout().cache / "guest";
    std::filesystem::create_directories(build / "guest");
    std::filesystem::create_directories(kernels);
    home.write("build/guest/initramfs.cpio", "none");
    ProcessSpec spec;
    spec.argv = {"env", "VMETTE_CACHE_DIR=" + home.layout().cache.string(), source_dir() / "guest/assets",
                 "--kernel=own", build};
    for (const auto& open : {home.layout().cache, kernels}) {
        std::filesystem::permissions(open, std::filesystem::perms::all);
        auto refused = run_captured(spec, std::chrono::seconds(10));
        ASSERT_TRUE(refused) << refused.error().text();
        EXPECT_FALSE(refused->ok());
        EXPECT_EQ(refused->err, "guest: " + open.string() +
                                    " belongs to another user, or can be written by others: its kernel is not used\n");
        std::filesystem::permissions(open, std::filesystem::perms::owner_all);
    }
}

}  // namespace
}  // namespace vmette::testing
