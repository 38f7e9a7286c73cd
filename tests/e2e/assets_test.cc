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

}  // namespace
}  // namespace vmette::testing
