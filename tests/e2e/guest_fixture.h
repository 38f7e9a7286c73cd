#pragma once
/// What every test that boots a guest starts from.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/vmette_home.h"

namespace vmette::testing {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

/// Skips, with the reason, where no guest can be booted.
class GuestTest : public ::testing::Test {
protected:
    void SetUp() override {
        VMETTE_NEEDS_GUEST();
        home_.emplace();
    }
    VmetteHome& home() { return *home_; }
    /// Runs a line of shell in a small box to its end.
    Finished shell(const std::string& line, const std::string& toml = "", const std::vector<std::string>& flags = {}) {
        return home().vmette(home().up_shell(toml, line, flags));
    }

    std::optional<VmetteHome> home_;
};

}  // namespace vmette::testing
